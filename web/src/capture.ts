import { token } from "./act";
import * as api from "./api";
import { h, panel, save, table } from "./dom";
import * as f from "./format";
import { reader, type Packet } from "./pcapng";

const SHOWN = 500; // packets of the table; the file has all
const TIMES: [string, string][] = [["5s", "5 seconds"], ["15s", "15 seconds"], ["1m", "1 minute"], ["5m", "5 minutes"]];

/** Packets of this host as they come, and the file of them for Wireshark. */
export function capture(): { roots: HTMLElement[]; load(): Promise<undefined>; end(): void } {
  const where = h("input", { type: "text", class: "expr", spellcheck: "false", autocomplete: "off", placeholder: "process curl and port 443", "aria-label": "Which packets" }) as HTMLInputElement;
  const time = h("select", { "aria-label": "For how long" }, ...TIMES.map(([v, t]) => h("option", { value: v }, t))) as HTMLSelectElement;
  const start = h("button", { type: "submit" }, "Capture") as HTMLButtonElement;
  const stop = h("button", { type: "button", click: () => under?.abort() }, "Stop"), file = h("button", { type: "button", click: () => save("weir.pcapng", new Blob(chunks)) }, "Save as pcapng");
  const said = h("p", { class: "note", role: "status" });
  const ask = panel("Capture", true);
  const need = token("see payload");
  const form = h("form", { class: "left" }, h("label", {}, "Packets ", where), " for ", time, start, stop, file);
  const t = table<Packet>("Packets", [
    { title: "Time", cls: "t", of: (p) => new Date(p.time).toISOString(), show: (p) => f.time(new Date(p.time).toISOString()) }, { title: "Source", of: (p) => p.source }, { title: "Target", of: (p) => p.target },
    { title: "Protocol", of: (p) => [p.protocol, p.flags].filter(Boolean).join(" ") }, { title: "Bytes", cls: "n", of: (p) => p.length }, { title: "Whose", cls: "w", of: (p) => p.comment, show: (p) => p.comment.replace(/ (exe|cgroup|conn)=\S+/g, "") }, { title: "Says", cls: "w", of: (p) => p.data },
  ], "Nothing was captured yet. An empty filter takes all packets at the sockets of this host and of its containers.", { bad: (p) => p.comment.startsWith("drop") });
  let under: AbortController | undefined, chunks: Uint8Array[] = [];
  const idle = (on: boolean) => { start.disabled = !on; stop.hidden = on; file.hidden = !on || !chunks.length; need.look(); };
  const run = async () => {
    const last: Packet[] = [], mine = under = new AbortController();
    let n = 0, size = 0, drawn = 0;
    const draw = () => { t.set([...last].reverse()); said.textContent = `${f.count(n)} packets, ${f.bytes(size)}${n > SHOWN ? `; the last ${SHOWN} are shown, the file has all` : ""}`; drawn = Date.now(); };
    chunks = [];
    idle(false), draw();
    try {
      const take = reader((p) => { n++; last.push(p); if (last.length > SHOWN) last.shift(); });
      await api.capture(where.value, time.value, mine.signal, (c) => { chunks.push(c); size += c.length; take(c); if (Date.now() - drawn > 250) draw(); });
      draw();
    } catch (e) {
      draw();
      if (!mine.signal.aborted) said.textContent = (e as Error).message;
    }
    under = undefined;
    idle(true);
  };
  form.addEventListener("submit", (e) => {
    e.preventDefault();
    need.take();
    if (!under) void run();
  });
  ask.body.append(form, need.root, said);
  idle(true);
  return { roots: [ask.root, t.root], async load() { return undefined; }, end() { under?.abort(); } };
}
