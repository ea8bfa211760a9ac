// The agent's HTTP API: docs by GET /api/v1/openapi.json.
export type Cell = string | number | null;
export interface Complete { share: number; kept: number; lost: number; damaged: number }
export interface Table { columns: string[]; rows: Cell[][]; completeness: Complete }
export type Rec = { [k: string]: unknown };
export interface Page { records: Rec[]; next: string | null; completeness?: Complete }

const KEY = "weir-token";

/** The token comes once, behind the '#' of the address that `weir run` prints; it never goes over the wire in a URL. */
export function takeToken(): void {
  const m = location.hash.match(/[#&?]token=([0-9a-f]+)/);
  if (!m) return;
  sessionStorage.setItem(KEY, m[1]);
  history.replaceState(null, "", location.pathname + "#/overview");
}

export class ApiError extends Error {
  constructor(readonly status: number, text: string) { super(text); }
}

async function ask(path: string, params: Record<string, string>, signal?: AbortSignal): Promise<Response> {
  const q = new URLSearchParams(Object.entries(params).filter(([, v]) => v !== ""));
  const r = await fetch(`${path}?${q}`, { headers: { Authorization: `Bearer ${sessionStorage.getItem(KEY) ?? ""}` }, signal });
  if (r.ok) return r;
  let text = r.statusText;
  try { text = (await r.json()).error ?? text; } catch { /* not JSON: the status says it */ }
  throw new ApiError(r.status, text);
}

export async function query(params: Record<string, string>): Promise<Table> {
  return (await ask("/api/v1/query", params)).json();
}

export async function records(kind: string, params: Record<string, string>): Promise<Page> {
  return (await ask(`/api/v1/records/${kind}`, params)).json();
}

const CONTROL = "weir-control";

export const mayControl = (): boolean => !!sessionStorage.getItem(CONTROL);
export const keepControl = (token: string): void => sessionStorage.setItem(CONTROL, token);

/** Changes the agent; its own words come back. The token to control is another one than that of the page. */
export async function control(what: string): Promise<string> {
  const r = await fetch(`/api/v1/control?${new URLSearchParams({ do: what })}`, { method: "POST", headers: { Authorization: `Bearer ${sessionStorage.getItem(CONTROL) ?? ""}` } });
  const body = await r.json().catch(() => ({}));
  if (r.status === 401) sessionStorage.removeItem(CONTROL);
  if (!r.ok) throw new ApiError(r.status, r.status === 401 ? "This is not the token to control." : (body.error ?? r.statusText));
  return body.answer ?? "";
}

const PAYLOAD = "weir-payload";

export const maySeePayload = (): boolean => !!(sessionStorage.getItem(PAYLOAD) ?? sessionStorage.getItem(CONTROL));
export const keepPayload = (token: string): void => sessionStorage.setItem(PAYLOAD, token);

/** What was said is for those with the token to see payload, or to control. */
async function payload(path: string, more: RequestInit = {}): Promise<Response> {
  const r = await fetch(path, { ...more, headers: { Authorization: `Bearer ${sessionStorage.getItem(PAYLOAD) ?? sessionStorage.getItem(CONTROL) ?? ""}` } });
  if (r.ok) return r;
  if (r.status === 401) sessionStorage.removeItem(PAYLOAD);
  throw new ApiError(r.status, r.status === 401 ? "This is not the token to see payload." : ((await r.json().catch(() => ({}))).error ?? r.statusText));
}

/** The packets of an alert. */
export async function packets(id: string): Promise<Blob> {
  return (await payload(`/api/v1/packets/${id}`)).blob();
}

/** Packets as they come, as pcapng; until the time is over, or the signal. */
export async function capture(where: string, time: string, signal: AbortSignal, on: (chunk: Uint8Array) => void): Promise<void> {
  const r = await payload(`/api/v1/capture?${new URLSearchParams({ for: time, ...(where && { where }) })}`, { method: "POST", signal });
  for (const from = r.body!.getReader();;) {
    const { done, value } = await from.read();
    if (done) return;
    on(value);
  }
}

export async function list(name: "sensors" | "counters" | "rules"): Promise<Rec[]> {
  return (await (await ask(`/api/v1/${name}`, {})).json()).records;
}

export async function status(): Promise<{ version: string; host: string; time: string; history: boolean }> {
  return (await ask("/api/v1/status", {})).json();
}

/** Records as they come, until the signal; `lost` counts what this page was too slow for. */
export async function live(kind: string, where: string, signal: AbortSignal, on: (r: Rec) => void, lost: (n: number) => void): Promise<void> {
  const r = await ask(`/api/v1/live/${kind}`, { where }, signal);
  const reader = r.body!.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "", loss = false;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop()!;
    for (const l of lines) {
      if (l === "event: loss") loss = true;
      else if (l.startsWith("data: ")) {
        const rec = JSON.parse(l.slice(6)) as Rec;
        if (loss) lost(Number(rec.count ?? 0)); else on(rec);
        loss = false;
      }
    }
  }
}

/** A field by its dotted name. */
export function field(r: Rec, name: string): unknown {
  return name.split(".").reduce<unknown>((v, k) => (v && typeof v === "object" ? (v as Rec)[k] : undefined), r);
}
