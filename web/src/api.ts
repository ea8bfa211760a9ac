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

/** What needs another token than that of the page; a token to control sees payload, too. */
export type Right = "control" | "see payload";
const KEYS: Record<Right, string[]> = { control: ["weir-control"], "see payload": ["weir-payload", "weir-control"] };
const keyOf = (right: Right) => KEYS[right].find((k) => sessionStorage.getItem(k));

export const may = (right: Right): boolean => !!keyOf(right);
export const keep = (right: Right, token: string): void => sessionStorage.setItem(KEYS[right][0], token);

async function by(right: Right, path: string, more: RequestInit = {}): Promise<Response> {
  const key = keyOf(right);
  const r = await fetch(path, { ...more, headers: { Authorization: `Bearer ${key ? sessionStorage.getItem(key) : ""}` } });
  if (r.ok) return r;
  if (r.status === 401 && key) sessionStorage.removeItem(key);
  throw new ApiError(r.status, r.status === 401 ? `This is not the token to ${right}.` : ((await r.json().catch(() => ({}))).error ?? r.statusText));
}

/** Changes the agent; its own words come back. */
export async function control(what: string): Promise<string> {
  const r = await by("control", `/api/v1/control?${new URLSearchParams({ do: what })}`, { method: "POST" });
  return (await r.json().catch(() => ({}))).answer ?? "";
}

/** The packets of an alert. */
export async function packets(id: string): Promise<Blob> {
  return (await by("see payload", `/api/v1/packets/${id}`)).blob();
}

/** Packets as they come, as pcapng; until the time is over, or the signal. */
export async function capture(where: string, time: string, signal: AbortSignal, on: (chunk: Uint8Array) => void): Promise<void> {
  const r = await by("see payload", `/api/v1/capture?${new URLSearchParams({ for: time, ...(where && { where }) })}`, { method: "POST", signal });
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
