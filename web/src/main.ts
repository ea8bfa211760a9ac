import "./style.css";
import * as api from "./api";
import { h } from "./dom";
import { VIEWS, type Scope, type View } from "./views";

const $ = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;
const main = $("main"), nav = $("nav"), since = $<HTMLSelectElement>("since"), where = $<HTMLInputElement>("where");
const pause = $<HTMLButtonElement>("pause"), complete = $("complete");
const TIMES: [string, string][] = [["5m", "5 minutes"], ["15m", "15 minutes"], ["1h", "1 hour"], ["6h", "6 hours"], ["24h", "24 hours"], ["7d", "7 days"]];
const EVERY = 5000; // ms

let view: View | undefined, name = "", scope: Scope = { since: "15m", where: "" }, paused = false, turn = 0, timer = 0;

/** The address holds what is shown: #/requests?since=1h&where=... */
function read(): void {
  const [p, q] = location.hash.replace(/^#\/?/, "").split("?");
  const args = new URLSearchParams(q ?? "");
  const next = VIEWS.some(([n]) => n === p) ? p : "overview";
  scope = { since: TIMES.some(([t]) => t === args.get("since")) ? args.get("since")! : scope.since, where: args.get("where") ?? "" };
  since.value = scope.since;
  where.value = scope.where;
  for (const a of nav.querySelectorAll("a")) {
    const n = a.dataset.view!;
    a.href = address(n);
    if (n === next) a.setAttribute("aria-current", "page"); else a.removeAttribute("aria-current");
  }
  if (next !== name) {
    view?.end?.();
    name = next;
    const v = VIEWS.find(([n]) => n === name)!;
    view = v[2]();
    document.title = `${v[1]} - weir`;
    main.replaceChildren(...view.roots);
  }
  void load();
}

function address(n: string): string {
  const q = new URLSearchParams({ since: scope.since });
  if (scope.where) q.set("where", scope.where);
  return `#/${n}?${q}`;
}

async function load(): Promise<void> {
  const mine = ++turn;
  clearTimeout(timer);
  try {
    const c = await view!.load(scope);
    if (mine !== turn) return;
    if (!$("host").textContent) void api.status().then((s) => { $("host").textContent = s.host; });
    main.querySelector(".error")?.parentElement?.remove();
    complete.textContent = c ? `${(c.share * 100).toFixed(c.share === 1 ? 0 : 3)} % of the records of this time were kept${c.damaged ? "; parts of the store are damaged" : ""}` : "";
    document.body.dataset.loaded = `${name} ${turn}`;
  } catch (e) {
    if (mine !== turn) return;
    fail(e);
  }
  if (!paused) timer = window.setTimeout(load, EVERY);
}

function fail(e: unknown): void {
  const status = e instanceof api.ApiError ? e.status : 0;
  const text = status === 401 ? "This page needs the address that `weir run` prints: it has the token to read. Root also finds it in the file that api.tokens names."
    : status === 0 ? "The agent does not answer. Is `weir run` still running? This page tries again every 5 seconds."
    : (e as Error).message;
  main.querySelector(".error")?.parentElement?.remove();
  main.prepend(h("section", { class: "wide" }, h("p", { class: "error", role: "alert" }, text)));
}

function theme(next?: string): void {
  const t = next ?? localStorage.getItem("weir-theme") ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  document.documentElement.dataset.theme = t;
  view?.theme?.();
}

function toggle(): void {
  const t = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  localStorage.setItem("weir-theme", t);
  theme(t);
}

function setPause(p: boolean): void {
  paused = p;
  pause.setAttribute("aria-pressed", String(p));
  if (!p) void load(); else clearTimeout(timer);
}

api.takeToken();
theme();
nav.append(...VIEWS.map(([n, title]) => h("a", { "data-view": n, href: `#/${n}` }, title)));
since.append(...TIMES.map(([v, t]) => h("option", { value: v }, t)));
$("scope").addEventListener("submit", (e) => { e.preventDefault(); scope.where = where.value.trim(); location.hash = address(name); });
since.addEventListener("change", () => { scope.since = since.value; location.hash = address(name); });
pause.addEventListener("click", () => setPause(!paused));
$("theme").addEventListener("click", toggle);
addEventListener("hashchange", () => { api.takeToken(); read(); });
addEventListener("keydown", (e) => {
  if (e.target instanceof HTMLInputElement || e.target instanceof HTMLSelectElement || e.ctrlKey || e.metaKey || e.altKey) return;
  const v = VIEWS[Number(e.key) - 1];
  if (v) location.hash = address(v[0]);
  else if (e.key === "/") { e.preventDefault(); where.focus(); }
  else if (e.key === "p") setPause(!paused);
  else if (e.key === "t") toggle();
});
read();
