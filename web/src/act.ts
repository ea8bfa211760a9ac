import * as api from "./api";
import { h, save } from "./dom";

const TIMES: [string, string][] = [["10m", "10 minutes"], ["1h", "1 hour"], ["24h", "1 day"]];

/** Where a token is typed that the page has not got: `take` keeps what was, `root` shows itself while one is needed. */
export function token(right: api.Right): { root: HTMLElement; take(): void; look(): void } {
  const input = h("input", { type: "password", autocomplete: "off", "aria-label": `Token to ${right}` }) as HTMLInputElement;
  const root = h("p", {}, h("label", {}, `Token to ${right} `, input), " ", h("small", {}, "(the file that api.tokens names has it)"));
  const look = () => { root.hidden = api.may(right); };
  look();
  return { root, look, take() { if (input.value) api.keep(right, input.value.trim()); input.value = ""; } };
}

/** The same as a question; false: it was not answered. */
function asked(right: api.Right): boolean {
  if (api.may(right)) return true;
  const said = prompt(`Token to ${right} (the file that api.tokens names has it)`);
  if (said) api.keep(right, said.trim());
  return !!said;
}

/** A rule of the guard that is asked for: `verb ttl TIME rest`. */
export interface Rule { verb: string; rest: string; why: string; impact?: string }

/** Asks before a rule is set: what it says, for how long, whom it would have hit; then tells what the agent said. */
export function ask(rule: Rule, done: () => void): void {
  const rest = h("input", { type: "text", value: rule.rest, spellcheck: "false", "aria-label": "What it is about" }) as HTMLInputElement;
  const ttl = h("select", { "aria-label": "For how long" }, ...TIMES.map(([v, t]) => h("option", { value: v }, t))) as HTMLSelectElement;
  const need = token("control");
  const said = h("p", { class: "note", role: "status" }), hit = h("p", { class: "note" });
  const go = h("button", { type: "submit" }, `Yes, ${rule.verb}`) as HTMLButtonElement;
  const box = h("dialog", { "aria-label": rule.why },
    h("h2", {}, rule.why), h("p", {}, h("code", {}, rule.verb), " ", rest, " for ", ttl), hit, rule.impact ? h("p", {}, `This also hits: ${rule.impact}.`) : null,
    h("p", { class: "note" }, "It ends by itself. This host's ssh session, gateway and resolvers stay reachable."), need.root, said,
    h("form", { method: "dialog" }, go, " ", h("button", { type: "button", click: () => box.close() }, "No"))) as HTMLDialogElement;
  const preview = async () => {
    const of = rest.value.match(/^(src|dst) ([0-9a-f.:]+)$/);
    hit.textContent = "";
    if (!of) return;
    const t = await api.query({ kind: "conn", since: "1h", where: `event = close and ${of[1] === "src" ? "client" : "server"}.ip = ${of[2]}`, show: "count,sum(bytes_to_client)" }).catch(() => null);
    if (t) hit.textContent = `In the last hour it would have hit ${t.rows[0]?.[0] ?? 0} connections.`;
  };
  rest.addEventListener("change", preview);
  box.querySelector("form")!.addEventListener("submit", async (e) => {
    e.preventDefault();
    need.take();
    go.disabled = true;
    try {
      said.textContent = (await api.control(`guard ${rule.verb} ttl ${ttl.value} ${rest.value}`)) || "done";
      setTimeout(() => box.close(), 1500);
      done();
    } catch (err) {
      said.textContent = (err as Error).message;
      need.look();
      go.disabled = false;
    }
  });
  box.addEventListener("close", () => box.remove());
  document.body.append(box);
  box.showModal();
  void preview();
}

/** Takes a rule away. */
export async function clear(id: string, said: HTMLElement, done: () => void): Promise<void> {
  try {
    if (!asked("control")) return;
    said.textContent = await api.control(`guard clear ${id}`);
    done();
  } catch (e) {
    said.textContent = (e as Error).message;
  }
}

/** The packets of an alert, as a file for Wireshark. */
export async function packets(id: string, said: HTMLElement): Promise<void> {
  try {
    if (!asked("see payload")) return;
    save(`${id}.pcapng`, await api.packets(id));
    said.textContent = "";
  } catch (e) {
    said.textContent = (e as Error).message;
  }
}
