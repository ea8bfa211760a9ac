export function bytes(v: number): string {
  const u = ["B", "kB", "MB", "GB", "TB"];
  let i = 0;
  while (v >= 999.5 && i + 1 < u.length) { v /= 1000; i++; }
  return `${i && v < 9.95 ? v.toFixed(1) : Math.round(v)} ${u[i]}`;
}

export function us(v: number): string {
  if (v < 1000) return `${Math.round(v)} us`;
  if (v < 1e6) return `${v < 1e4 ? (v / 1e3).toFixed(1) : Math.round(v / 1e3)} ms`;
  return `${(v / 1e6).toFixed(1)} s`;
}

export function count(v: number): string {
  return v >= 100 || Number.isInteger(v) ? Math.round(v).toLocaleString("en") : v.toFixed(v < 1 ? 3 : 1);
}

export function time(t: unknown): string {
  const d = new Date(String(t));
  return Number.isNaN(d.getTime()) ? "" : d.toLocaleTimeString("en-GB") + "." + String(d.getMilliseconds()).padStart(3, "0");
}

export function end(e: unknown): string {
  const x = (e ?? {}) as { ip?: string; port?: number; service?: string; process?: string; host_name?: string; country?: string };
  const at = x.ip ? (x.ip.includes(":") ? `[${x.ip}]` : x.ip) + (x.port ? `:${x.port}` : "") : "";
  return [x.service ?? x.process ?? x.host_name ?? "", at, x.country ? `(${x.country})` : ""].filter(Boolean).join(" ");
}

/** Of an alert: the process on this host, and which side it is. */
export function owner(o: unknown): string | undefined {
  const x = o as { pid?: number; process?: string; user?: string; container?: string; is?: string } | undefined;
  return x && [`${x.process ?? "?"}[${x.pid ?? "?"}]`, x.user, x.container, x.is && `(the ${x.is})`].filter(Boolean).join(" ");
}

export function parents(p: unknown): string | undefined {
  return Array.isArray(p) ? p.map((x: { pid: number; process: string }) => `${x.process}[${x.pid}]`).join(" < ") : undefined;
}
