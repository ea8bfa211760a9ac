import dagre from "@dagrejs/dagre";
import * as act from "./act";
import * as api from "./api";
import { capture } from "./capture";
import { chart } from "./chart";
import { h, panel, svg, table } from "./dom";
import * as f from "./format";
import { heat } from "./heat";

/** What is asked: from the address line. */
export interface Scope { since: string; where: string }
export interface View { roots: HTMLElement[]; load(s: Scope): Promise<api.Complete | undefined>; theme?(): void; end?(): void }

const num = (v: unknown) => Number(v ?? 0);
const cellOf = (t: api.Table, name: string) => { const i = t.columns.indexOf(name); return (r: api.Cell[]) => r[i]; };

const SPANS: Record<string, number> = { "5m": 300, "15m": 900, "1h": 3600, "6h": 21600, "24h": 86400, "7d": 604800 };

/** A window so that a chart has about 120 points; whole seconds, minutes or hours. */
function step(since: string): number {
  const want = (SPANS[since] ?? 3600) / 120;
  return [1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600].find((s) => s >= want) ?? 7200;
}

/** Rows of windows as aligned columns, windows without traffic as zero (or nothing, for quantiles); @partial: the one that is not over, too. */
function aligned(t: api.Table, since: string, names: { name: string; per?: number; zero: boolean }[], s = step(since), partial = false): (number | null)[][] {
  const now = Math.floor(Date.now() / 1000), from = now - (SPANS[since] ?? 3600);
  const at = new Map(t.rows.map((r) => [Math.round(Date.parse(String(r[0])) / 1000), r]));
  const out: (number | null)[][] = [[], ...names.map(() => [])];
  for (let x = Math.ceil(from / s) * s; x + (partial ? 0 : s) <= now; x += s) {
    const r = at.get(x);
    out[0].push(x);
    names.forEach((n, i) => {
      const v = r ? r[t.columns.indexOf(n.name)] : null;
      out[i + 1].push(v === null || v === undefined ? (n.zero ? 0 : null) : num(v) / (n.per ?? 1));
    });
  }
  return out;
}

function overview(): View {
  const facts = h("dl", { class: "facts" });
  const top = panel("Now", true);
  top.body.append(facts);
  const rate = chart("Requests a second", [{ label: "requests", line: true, color: "--a", show: f.count }, { label: "errors", line: true, color: "--b", show: f.count }]);
  const lat = chart("Latency", [{ label: "p99", color: "--b", show: f.us }, { label: "p50", color: "--a", show: f.us }]);
  const vol = chart("Bytes a second", [{ label: "to clients", line: true, color: "--a", show: f.bytes }, { label: "to servers", line: true, color: "--c", show: f.bytes }]);
  const retr = chart("Segments sent again, a second", [{ label: "retransmits", line: true, color: "--b", show: f.count }]);
  type Row = { service: string; count: number; errors: number; p50: number | null; p99: number | null; bytes: number };
  const services = table<Row>("Services", [
    { title: "Service", of: (r) => r.service }, { title: "Requests", cls: "n", of: (r) => r.count, show: (r) => f.count(r.count) },
    { title: "Errors", cls: "n", of: (r) => r.errors, show: (r) => f.count(r.errors) },
    { title: "p50", cls: "n", of: (r) => r.p50, show: (r) => (r.p50 === null ? "" : f.us(r.p50)) },
    { title: "p99", cls: "n", of: (r) => r.p99, show: (r) => (r.p99 === null ? "" : f.us(r.p99)) },
    { title: "Bytes", cls: "n", of: (r) => r.bytes, show: (r) => f.bytes(r.bytes) },
  ], "No traffic in this time. Choose a longer one, or wait: a second of it appears a second later.", { wide: false, bad: (r) => r.errors > r.count / 20 });
  const alerts = table<api.Rec>("Alerts", ALERT_COLS, "No alert in this time.", { wide: false });
  return {
    roots: [top.root, rate.root, lat.root, vol.root, retr.root, services.root, alerts.root],
    theme() { for (const c of [rate, lat, vol, retr]) c.theme(); },
    async load(s) {
      const show = "sum(count),sum(errors),sum(bytes_to_client),sum(bytes_to_server),sum(retransmits),p50(histogram),p99(histogram)";
      const every = step(s.since);
      const [t, by, al, dr] = await Promise.all([
        api.query({ kind: "traffic", since: s.since, where: s.where, every: `${every}s`, show }),
        api.query({ kind: "traffic", since: s.since, where: s.where, by: "server.service", show, top: "30" }),
        api.records("alert", { since: s.since, limit: "20" }),
        api.query({ kind: "drop", since: s.since, where: "class != noise", show: "sum(count)" }),
      ]);
      rate.set(aligned(t, s.since, [{ name: "sum(count)", per: every, zero: true }, { name: "sum(errors)", per: every, zero: true }]));
      lat.set(aligned(t, s.since, [{ name: "p99(histogram)", zero: false }, { name: "p50(histogram)", zero: false }]));
      vol.set(aligned(t, s.since, [{ name: "sum(bytes_to_client)", per: every, zero: true }, { name: "sum(bytes_to_server)", per: every, zero: true }]));
      retr.set(aligned(t, s.since, [{ name: "sum(retransmits)", per: every, zero: true }]));
      const sum = (name: string) => t.rows.reduce((a, r) => a + num(cellOf(t, name)(r)), 0);
      const all = s.where ? ", all" : ""; // drops and alerts have other fields
      const fact = (k: string, v: string) => [h("dt", {}, k), h("dd", {}, v)];
      const pairs = [fact("Requests", f.count(sum("sum(count)"))), fact("Errors", f.count(sum("sum(errors)"))),
        fact("Bytes", f.bytes(sum("sum(bytes_to_client)") + sum("sum(bytes_to_server)"))), fact("Sent again", f.count(sum("sum(retransmits)"))),
        fact(`Dropped packets${all}`, f.count(num(dr.rows[0]?.[0]))), fact(`Alerts${all}`, f.count(al.records.length))];
      facts.replaceChildren(...pairs.map((p) => h("div", {}, ...p)));
      services.set(by.rows.map((r) => ({
        service: String(cellOf(by, "server.service")(r) ?? "elsewhere"), count: num(cellOf(by, "sum(count)")(r)), errors: num(cellOf(by, "sum(errors)")(r)),
        p50: cellOf(by, "p50(histogram)")(r) as number | null, p99: cellOf(by, "p99(histogram)")(r) as number | null,
        bytes: num(cellOf(by, "sum(bytes_to_client)")(r)) + num(cellOf(by, "sum(bytes_to_server)")(r)),
      })).filter((r) => r.count || r.bytes));
      alerts.set(al.records);
      return t.completeness;
    },
  };
}

type Edge = { from: string; to: string; where: string; protocol: string; rate: number; errors: number; count: number; p99: number | null; bytes: number; retr: number };
const MAX_EDGES = 60, MAX_NODES = 40, MAX_LABELS = 24, MAX_ROWS = 500; // drawn: more cannot be read

/** The busiest edges that can still be read; by name, so that nothing jumps when the order of the busiest changes. */
function busiest(edges: Edge[]): Edge[] {
  const nodes = new Set<string>(), out: Edge[] = [];
  for (const e of edges) {
    const more = Number(!nodes.has(e.from)) + Number(!nodes.has(e.to));
    if (out.length === MAX_EDGES) break;
    if (nodes.size + more > MAX_NODES) continue;
    nodes.add(e.from), nodes.add(e.to), out.push(e);
  }
  return out.sort((a, b) => a.from.localeCompare(b.from) || a.to.localeCompare(b.to));
}

type Box = { x: number; y: number; width: number };

/** From side to side, as a curve (below its label, where it has one); by the way that the layout found where others stand between. */
function line(way: { x: number; y: number }[], a: Box, b: Box, label?: { x: number; y: number }): string {
  const from = a.x + a.width / 2, to = b.x - b.width / 2;
  const curve = (x: number, y: number, x2: number, y2: number) => `C${(x + x2) / 2},${y} ${(x + x2) / 2},${y2} ${x2},${y2}`;
  if (way.length <= 3 && from < to) return `M${from},${a.y}` + (label ? curve(from, a.y, label.x, label.y) + curve(label.x, label.y, to, b.y) : curve(from, a.y, to, b.y));
  return "M" + way.map((p) => `${p.x.toFixed(1)},${p.y.toFixed(1)}`).join("L");
}

function draw(edges: Edge[], pick: (e: Edge) => void): Node {
  const labels = edges.length <= MAX_LABELS;
  const g = new dagre.graphlib.Graph({ multigraph: true }).setGraph({ rankdir: "LR", nodesep: 18, edgesep: labels ? 20 : 4, ranksep: labels ? 90 : 200, marginx: 8, marginy: 8 });
  for (const n of new Set(edges.flatMap((e) => [e.from, e.to]))) g.setNode(n, { width: Math.min(220, 24 + n.length * 7), height: 30 });
  edges.forEach((e, i) => { if (e.from !== e.to) g.setEdge(e.from, e.to, labels ? { e, width: 110, height: 14, labelpos: "c" } : { e, width: 0, height: 0 }, String(i)); });
  dagre.layout(g);
  const size = g.graph() as { width?: number; height?: number };
  const w = Math.max(200, size.width ?? 200), hgt = Math.max(60, size.height ?? 60);
  const root = svg("svg", { class: "map", viewBox: `0 0 ${w} ${hgt}`, width: Math.ceil(w), height: Math.ceil(hgt), role: "img", "aria-label": "Services and who asks whom; the table below has the same" });
  const above: Node[] = [];
  for (const k of g.edges()) {
    const d = g.edge(k) as { points: { x: number; y: number }[]; e: Edge; x: number; y: number };
    const path = svg("path", { d: line(d.points, g.node(k.v), g.node(k.w), labels ? d : undefined), "stroke-width": Math.min(6, 1 + Math.log10(1 + d.e.rate * 10)), class: d.e.errors > d.e.count / 20 && d.e.errors ? "bad" : "" });
    const says = `${d.e.protocol} ${f.count(d.e.rate)}/s${d.e.p99 === null ? "" : " " + f.us(d.e.p99)}`;
    path.addEventListener("click", () => pick(d.e));
    path.append(svg("title", {}, `${d.e.from} to ${d.e.to}: ${says}`));
    root.append(path);
    if (labels) above.push(svg("text", { class: "lbl", x: d.x, y: d.y - 3, "text-anchor": "middle" }, says));
  }
  root.append(...above);
  for (const n of g.nodes()) {
    const at = g.node(n) as { x: number; y: number; width: number; height: number };
    root.append(svg("rect", { x: at.x - at.width / 2, y: at.y - at.height / 2, width: at.width, height: at.height, rx: 6 }), svg("text", { x: at.x, y: at.y + 4, "text-anchor": "middle" }, n.length > 28 ? n.slice(0, 27) + "…" : n));
  }
  return root;
}

/** One edge for each pair: what they speak most, the sums, the slowest p99. */
function merge(all: Edge[]): Edge[] {
  const by = new Map<string, Edge & { most: number }>();
  for (const e of all) {
    const key = JSON.stringify([e.from, e.to]), has = by.get(key);
    if (!has) { by.set(key, { ...e, most: e.count }); continue; }
    if (e.count > has.most || (!has.most && e.bytes > has.bytes)) { has.protocol = e.protocol; has.most = e.count; }
    has.rate += e.rate; has.count += e.count; has.errors += e.errors; has.bytes += e.bytes; has.retr += e.retr;
    if (e.p99 !== null) has.p99 = Math.max(has.p99 ?? 0, e.p99);
  }
  return [...by.values()];
}

function services(): View {
  const p = panel("Map", true);
  const go = (e: Edge) => { location.hash = `#/requests?where=${encodeURIComponent(e.where)}`; };
  const t = table<Edge>("Edges", [
    { title: "Client", of: (r) => r.from }, { title: "Server", of: (r) => r.to }, { title: "Speaks", of: (r) => r.protocol },
    { title: "Requests/s", cls: "n", of: (r) => r.rate, show: (r) => f.count(r.rate) }, { title: "Errors", cls: "n", of: (r) => r.errors, show: (r) => f.count(r.errors) },
    { title: "p99", cls: "n", of: (r) => r.p99, show: (r) => (r.p99 === null ? "" : f.us(r.p99)) },
    { title: "Bytes", cls: "n", of: (r) => r.bytes, show: (r) => f.bytes(r.bytes) }, { title: "Sent again", cls: "n", of: (r) => r.retr, show: (r) => f.count(r.retr) },
  ], "Nobody asked anybody in this time.", { bad: (r) => r.errors > r.count / 20, pick: go, max: MAX_ROWS });
  return {
    roots: [p.root, t.root],
    async load(s) {
      const a = await api.query({ kind: "traffic", since: s.since, where: s.where, by: "client.service,client.ip,server.service,server.host_name,server.ip,server.port,protocol,transport", show: "sum(count),rate(count),sum(errors),p99(histogram),sum(bytes_to_client),sum(bytes_to_server),sum(retransmits)" });
      const g = (r: api.Cell[], n: string) => cellOf(a, n)(r);
      const quoted = (r: api.Cell[], n: string) => (g(r, n) === null ? null : `${n} = ${JSON.stringify(g(r, n))}`);
      const all = a.rows.map((r): Edge => ({
        where: quoted(r, "server.service") ?? quoted(r, "server.host_name") ?? `server.ip = ${g(r, "server.ip")} and server.port = ${g(r, "server.port")}`,
        from: String(g(r, "client.service") ?? g(r, "client.ip") ?? "?"), to: String(g(r, "server.service") ?? `${g(r, "server.host_name") ?? g(r, "server.ip") ?? "?"}:${g(r, "server.port") ?? ""}`),
        protocol: String(g(r, "protocol") ?? g(r, "transport") ?? ""), rate: num(g(r, "rate(count)")), errors: num(g(r, "sum(errors)")), count: num(g(r, "sum(count)")),
        p99: g(r, "p99(histogram)") as number | null, bytes: num(g(r, "sum(bytes_to_client)")) + num(g(r, "sum(bytes_to_server)")), retr: num(g(r, "sum(retransmits)")),
      })).filter((e) => e.count || e.bytes);
      const edges = merge(all).sort((x, y) => y.count - x.count || y.bytes - x.bytes);
      const drawn = busiest(edges);
      t.set(edges);
      t.note.textContent = edges.length > MAX_ROWS ? `the ${MAX_ROWS} busiest of ${f.count(edges.length)}: the CSV has all, a filter narrows it` : "";
      p.note.textContent = edges.length > drawn.length ? `the ${drawn.length} busiest of ${f.count(edges.length)} edges` : "";
      if (edges.length) p.body.replaceChildren(h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Map" }, draw(drawn, go)));
      else p.body.replaceChildren(h("p", { class: "note" }, "No edges in this time."));
      return a.completeness;
    },
  };
}

const fd = (name: string) => (r: api.Rec) => api.field(r, name);
const ofNum = (name: string, show: (v: number) => string) => ({ of: fd(name), show: (r: api.Rec) => { const v = api.field(r, name); return v === undefined ? "" : show(Number(v)); } });

/** Newest records of a kind, older ones on demand. */
function newest(kind: string, t: { set(r: api.Rec[]): void; note: HTMLElement; root: HTMLElement }, opt: { extra?: string; limit?: number; one?: string } = {}) {
  const extra = opt.extra ?? "", limit = String(opt.limit ?? 100);
  let shown: api.Rec[] = [], next: string | null = null, last: Scope = { since: "1h", where: "" };
  // of what grows (a connection, an incident) the last word only
  const put = () => {
    const seen = new Set<unknown>();
    t.set(opt.one ? shown.filter((r) => { const k = r[opt.one!]; if (seen.has(k)) return false; seen.add(k); return true; }) : shown);
  };
  const both = (w: string) => [extra, w && extra ? `(${w})` : w].filter(Boolean).join(" and ");
  const more = h("button", { type: "button", click: async () => {
    const p = await api.records(kind, { since: last.since, where: both(last.where), cursor: next ?? "", limit });
    shown = shown.concat(p.records);
    next = p.next;
    put();
    more.hidden = !next;
  } }, "Older");
  t.root.append(more);
  return async (s: Scope) => {
    const p = await api.records(kind, { since: s.since, where: both(s.where), limit });
    last = s;
    shown = p.records;
    next = p.next;
    put();
    more.hidden = !next;
    return p.completeness;
  };
}

function connections(): View {
  const t = table<api.Rec>("Connections", [
    { title: "Time", cls: "t", of: fd("time"), show: (r) => f.time(r.time) }, { title: "Event", of: fd("event") }, { title: "Over", of: fd("transport") }, { title: "Speaks", of: fd("protocol") },
    { title: "Client", of: (r) => f.end(r.client) }, { title: "Server", of: (r) => f.end(r.server) },
    { title: "To server", cls: "n", ...ofNum("bytes_to_server", f.bytes) }, { title: "To client", cls: "n", ...ofNum("bytes_to_client", f.bytes) },
    { title: "Sent again", cls: "n", ...ofNum("retransmits", f.count) }, { title: "RTT", cls: "n", ...ofNum("rtt_us", f.us) },
    { title: "Lived", cls: "n", ...ofNum("duration_ms", (v) => f.us(v * 1000)) }, { title: "End", of: (r) => r.close_reason ?? r.state },
  ], "No connection in this time.", { bad: (r) => ["refused", "reset", "timed_out", "unreachable"].includes(String(r.close_reason)), pick: (r) => one(r) });
  const detail = panel("One connection", true);
  detail.root.hidden = true;
  const one = (r: api.Rec) => { detail.root.hidden = false; detail.body.replaceChildren(h("pre", { tabindex: "0" }, JSON.stringify(r, null, 2))); detail.root.scrollIntoView(); };
  return { roots: [t.root, detail.root], load: newest("conn", t, { extra: "event != open", limit: 500, one: "conn" }) };
}

const STAGES: [string, string, string][] = [["stages.request", "request arrives", "--c"], ["stages.queue", "waits to be read", "--b"], ["stages.application", "application", "--a"], ["stages.response", "response leaves", "--c"]];

function waterfall(r: api.Rec): Node {
  const parts = STAGES.map(([k, name, color]) => ({ name, color, us: num(api.field(r, k)) }));
  const whole = Math.max(1, parts.reduce((a, p) => a + p.us, 0), num(r.duration_us));
  return h("table", {}, h("tbody", {}, ...parts.map((p, i) => {
    const before = parts.slice(0, i).reduce((a, q) => a + q.us, 0);
    const bar = svg("svg", { viewBox: "0 0 1000 14", width: "100%", height: 14, preserveAspectRatio: "none", "aria-hidden": "true" });
    const rect = svg("rect", { x: (before / whole) * 1000, y: 0, width: Math.max(2, (p.us / whole) * 1000), height: 14 });
    (rect as SVGElement & { style: CSSStyleDeclaration }).style.fill = `var(${p.color})`;
    bar.append(rect);
    return h("tr", {}, h("th", { scope: "row" }, p.name), h("td", { class: "n" }, f.us(p.us)), h("td", { class: "w" }, bar));
  })));
}

function requests(): View {
  type Row = { op: string; res: string; service: string; count: number; errors: number; p50: number | null; p99: number | null };
  const sums = table<Row>("By operation", [
    { title: "Service", of: (r) => r.service }, { title: "Operation", of: (r) => r.op }, { title: "Resource", cls: "w", of: (r) => r.res },
    { title: "Requests", cls: "n", of: (r) => r.count, show: (r) => f.count(r.count) }, { title: "Errors", cls: "n", of: (r) => r.errors, show: (r) => f.count(r.errors) },
    { title: "p50", cls: "n", of: (r) => r.p50, show: (r) => (r.p50 === null ? "" : f.us(r.p50)) }, { title: "p99", cls: "n", of: (r) => r.p99, show: (r) => (r.p99 === null ? "" : f.us(r.p99)) },
  ], "No request in this time.", { bad: (r) => r.errors > 0 });
  const detail = panel("One request", true);
  detail.root.hidden = true;
  const t = table<api.Rec>("Requests", [
    { title: "Time", cls: "t", of: fd("time"), show: (r) => f.time(r.time) }, { title: "Speaks", of: (r) => (r.tls ? `${r.protocol} in TLS` : r.protocol) },
    { title: "Client", of: (r) => f.end(r.client) }, { title: "Server", of: (r) => f.end(r.server) }, { title: "Operation", of: fd("operation") }, { title: "Resource", cls: "w", of: fd("resource") },
    { title: "Status", of: fd("status") }, { title: "Took", cls: "n", ...ofNum("duration_us", f.us) },
  ], "No request in this time.", { bad: (r) => r.error === true, pick: (r) => {
    detail.root.hidden = false;
    detail.body.replaceChildren(waterfall(r), h("pre", { tabindex: "0" }, JSON.stringify(r, null, 2)));
    detail.root.scrollIntoView();
  } });
  const load = newest("request", t);
  return {
    roots: [sums.root, t.root, detail.root],
    async load(s) {
      const a = await api.query({ kind: "request", since: s.since, where: s.where, by: "server.service,operation,resource", show: "count,sum(error),p50(duration_us),p99(duration_us)", top: "100" });
      sums.set(a.rows.map((r) => ({ service: String(r[0] ?? ""), op: String(r[1] ?? ""), res: String(r[2] ?? ""), count: num(r[3]), errors: num(r[4]), p50: r[5] as number | null, p99: r[6] as number | null })));
      return load(s);
    },
  };
}

function path(): View {
  type Row = { reason: string; cls: string; count: number; meaning: string };
  const by = table<Row>("Dropped packets by reason", [{ title: "Reason", of: (r) => r.reason }, { title: "Class", of: (r) => r.cls }, { title: "Packets", cls: "n", of: (r) => r.count, show: (r) => f.count(r.count) }, { title: "Meaning", cls: "w", of: (r) => r.meaning }], "Nothing was dropped in this time.");
  const t = table<api.Rec>("Dropped packets", [
    { title: "Time", cls: "t", of: fd("time"), show: (r) => f.time(r.time) }, { title: "Packets", cls: "n", of: fd("count") }, { title: "Reason", of: fd("reason") }, { title: "Interface", of: fd("interface") },
    { title: "Client", of: (r) => f.end(r.client) }, { title: "Server", of: (r) => f.end(r.server) }, { title: "Where", cls: "w", of: fd("location") },
  ], "Nothing was dropped in this time. `weir drops` names the firewall rule; `weir latency`, `weir journey` and `weir queues` follow packets live.");
  const load = newest("drop", t, { extra: "class != noise" });
  const map = heat("Where requests spend their time (p99)", f.us);
  const PARTS: [string, string][] = [["stages.request", "request arrives"], ["stages.queue", "waits to be read"], ["stages.application", "application"], ["stages.response", "response leaves"], ["stages.network", "network"], ["stages.server", "server elsewhere"]];
  return {
    roots: [map.root, by.root, t.root],
    async load(s) {
      const every = 2 * step(s.since);
      const q = await api.query({ kind: "request", since: s.since, where: s.where, every: `${every}s`, show: PARTS.map(([k]) => `p99(${k})`).join(",") })
        .catch((e) => { if (s.where && e instanceof api.ApiError && e.status === 400) return null; throw e; });
      const [times, ...cells] = q ? aligned(q, s.since, PARTS.map(([k]) => ({ name: `p99(${k})`, zero: false })), every, true) : [[]];
      const known = PARTS.map(([, n], i) => ({ n, c: cells[i] ?? [] })).filter((p) => p.c.some((v) => v !== null));
      map.set(known.map((p) => p.n), times as number[], known.map((p) => p.c));
      if (!q) map.note.textContent = "the filter is about drops: requests have no such field";
      const a = await api.query({ kind: "drop", since: s.since, where: ["class != noise", s.where && `(${s.where})`].filter(Boolean).join(" and "), by: "reason,class", show: "sum(count),last(meaning)" });
      by.set(a.rows.map((r) => ({ reason: String(r[0]), cls: String(r[1] ?? ""), count: num(r[2]), meaning: String(r[3] ?? "") })));
      return load(s);
    },
  };
}

const ALERT_COLS = [
  { title: "Time", cls: "t" as const, of: fd("time"), show: (r: api.Rec) => f.time(r.time) }, { title: "Severity", of: fd("severity") }, { title: "Detector", of: fd("detector") },
  { title: "Count", cls: "n" as const, ...ofNum("count", f.count) }, { title: "What", cls: "w" as const, of: fd("summary") },
];

const ADDRESS = /^[0-9a-f.:]+$/i;

/** What can be done about an alert, the gentlest first. */
function rulesFor(r: api.Rec): act.Rule[] {
  const source = String(r.source ?? ""), impact = r.impact === undefined ? undefined : String(r.impact), all: act.Rule[] = [];
  const target = String(r.target ?? "").match(/^\[?([0-9a-f.:]+?)\]?:(\d+)$/i);
  if (r.detector === "syn_flood" && target) all.push({ verb: "cookie", rest: `dst ${target[1]} and tcp and dst.port = ${target[2]}`, why: "Answer SYNs with cookies", impact });
  if (r.detector === "port_scan" && ADDRESS.test(source) && source) all.push({ verb: "tarpit", rest: `src ${source} and tcp`, why: `Show ${source} ports that look open, and nothing behind them`, impact });
  if (ADDRESS.test(source) && source) all.push({ verb: "drop", rest: `src ${source}`, why: `Drop what ${source} sends`, impact });
  return all;
}

function threats(): View {
  const said = h("p", { class: "note", role: "status" });
  const rules = table<api.Rec>("Rules of the guard", [
    { title: "Rule", cls: "w", of: fd("text") }, { title: "Does", of: (r) => [r.action, r.rate].filter(Boolean).join(" ") }, { title: "Packets", cls: "n", ...ofNum("hits", f.count) }, { title: "Ends", cls: "t", of: fd("expires"), show: (r) => (r.expires ? f.time(r.expires) : "never") },
    { title: "Where", of: fd("interfaces") }, { title: "", of: () => "", show: (r) => h("button", { type: "button", "aria-label": `Remove rule ${r.id}`, click: () => void act.clear(String(r.id), said, reload) }, "Remove") },
  ], "Nothing is guarded. An alert above offers what can be done; `weir guard` does it from a terminal.");
  const detail = panel("One alert", true), saved = h("p", { class: "note", role: "status" });
  detail.root.hidden = true;
  const t = table<api.Rec>("Alerts", [...ALERT_COLS, { title: "ATT&CK", of: fd("attack_id") }, { title: "Source", of: fd("source") }, { title: "Target", of: fd("target") }, { title: "What to do", cls: "w" as const, of: fd("advice") }],
    "No alert in this time.", { bad: (r) => r.severity === "high", pick: (r) => {
      const fact = (k: string, v: unknown) => (v === undefined ? [] : [h("tr", {}, h("th", { scope: "row" }, k), h("td", { class: "w" }, typeof v === "string" ? v : JSON.stringify(v)))]);
      detail.root.hidden = false;
      detail.body.replaceChildren(h("p", {}, String(r.summary ?? "")),
        h("p", {}, ...rulesFor(r).flatMap((x) => [h("button", { type: "button", click: () => act.ask(x, reload) }, x.why), " "]),
          r.packets ? h("button", { type: "button", click: () => void act.packets(String(r.id), saved) }, "Its packets (pcapng)") : null), saved,
        h("table", {}, h("tbody", {}, ...fact("How sure", r.confidence), ...fact("Since", r.first), ...fact("Last", r.last), ...fact("Whose", f.owner(r.owner)), ...fact("Its parents", f.parents(r.parents)), ...fact("Evidence", r.evidence),
          ...fact("What to do", r.advice), ...fact("That would hit", r.impact), ...fact("Was done", r.action), ...fact("More", `weir alerts explain ${String(r.id)}`))));
      detail.root.scrollIntoView();
    } });
  const load = newest("alert", t, { one: "id" });
  const reload = () => void api.list("rules").then((l) => rules.set(l.filter((r) => r.kind === "rule" && !r.automatic)));
  rules.root.append(said);
  return {
    roots: [t.root, detail.root, rules.root],
    async load(s) { // a filter of connections or requests names fields that alerts do not have
      reload();
      const rest = await load(s).catch((e) => { if (s.where && e instanceof api.ApiError && e.status === 400) return null; throw e; });
      t.note.textContent = rest === null ? "the filter is not applied: alerts have no such field" : "";
      return rest === null ? load({ ...s, where: "" }) : rest;
    },
  };
}

function health(): View {
  const se = table<api.Rec>("Sensors and parsers", [
    { title: "Name", of: fd("name") }, { title: "State", of: fd("state") }, { title: "By", cls: "w", of: fd("variant") }, { title: "Cost of a run", cls: "n", ...ofNum("cost_ns", (v) => `${Math.round(v)} ns`) },
    { title: "Events", cls: "n", ...ofNum("events", f.count) }, { title: "Lost", cls: "n", ...ofNum("lost", f.count) }, { title: "Complete", cls: "n", ...ofNum("completeness", (v) => `${(v * 100).toFixed(3)} %`) }, { title: "What it misses", cls: "w", of: fd("needs") },
  ], "The agent does not answer.", { bad: (r) => r.state === "unavailable" });
  const co = table<api.Rec>("Ledger", [{ title: "Counter", of: fd("name") }, { title: "Value", cls: "n", ...ofNum("value", f.count) }], "The agent does not answer.");
  return { roots: [se.root, co.root], async load() { const [a, b] = await Promise.all([api.list("sensors"), api.list("counters")]); se.set(a); co.set(b.filter((r) => r.kind === "metric")); return undefined; } };
}

export const VIEWS: [string, string, () => View][] = [
  ["overview", "Overview", overview], ["services", "Services", services], ["connections", "Connections", connections], ["requests", "Requests", requests],
  ["path", "Path", path], ["threats", "Threats", threats], ["capture", "Capture", capture], ["health", "Health", health],
];
