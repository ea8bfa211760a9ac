type Child = Node | string | null | undefined;

/** An element; text is always text, so nothing that traffic carries becomes markup. */
export function h(tag: string, attrs: Record<string, string | EventListener> = {}, ...kids: Child[]): HTMLElement {
  const e = document.createElement(tag);
  for (const [k, v] of Object.entries(attrs)) {
    if (typeof v === "function") e.addEventListener(k, v);
    else e.setAttribute(k, v);
  }
  e.append(...kids.filter((k): k is Node | string => k !== null && k !== undefined));
  return e;
}

export function svg(tag: string, attrs: Record<string, string | number>, ...kids: (Node | string)[]): SVGElement {
  const e = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [k, v] of Object.entries(attrs)) e.setAttribute(k, String(v));
  e.append(...kids);
  return e;
}

/** Hands the person a file. */
export function save(name: string, what: Blob): void {
  const a = h("a", { href: URL.createObjectURL(what), download: name }) as HTMLAnchorElement;
  a.click();
  setTimeout(() => URL.revokeObjectURL(a.href), 1000);
}

export function csv(name: string, head: string[], rows: unknown[][]): void {
  const cell = (v: unknown) => { const s = v === null || v === undefined ? "" : String(v); return /[",\r\n]/.test(s) ? `"${s.replaceAll('"', '""')}"` : s; };
  const text = [head, ...rows].map((r) => r.map(cell).join(",")).join("\r\n") + "\r\n";
  save(`${name}.csv`, new Blob([text], { type: "text/csv" }));
}

export function panel(title: string, wide: boolean, data?: () => { head: string[]; rows: unknown[][] }): { root: HTMLElement; body: HTMLElement; note: HTMLElement } {
  const note = h("small"), body = h("div");
  const head = h("div", { class: "head" }, h("h2", {}, title, " ", note));
  if (data) head.append(h("button", { type: "button", "aria-label": `${title} as CSV`, click: () => { const d = data(); csv(title, d.head, d.rows); } }, "CSV"));
  return { root: h("section", wide ? { class: "wide" } : {}, head, body), body, note };
}

export interface Column<T> { title: string; cls?: "n" | "t" | "w"; of: (r: T) => unknown; show?: (r: T) => string | Node }

/** A table with its CSV; `pick` makes rows that can be opened by mouse and Enter; of more than `max` rows the first are shown. */
export function table<T>(title: string, cols: Column<T>[], empty: string, opt: { wide?: boolean; bad?: (r: T) => boolean; pick?: (r: T) => void; max?: number } = {}) {
  let rows: T[] = [];
  const p = panel(title, opt.wide ?? true, () => ({ head: cols.map((c) => c.title), rows: rows.map((r) => cols.map((c) => c.of(r))) }));
  const body = h("tbody");
  const t = h("table", {}, h("thead", {}, h("tr", {}, ...cols.map((c) => h("th", { scope: "col", class: c.cls ?? "" }, c.title)))), body);
  const none = h("p", { class: "note" }, empty);
  p.body.append(h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title }, t), none);
  return {
    root: p.root, note: p.note,
    set(next: T[]): void {
      rows = next;
      t.hidden = !rows.length;
      none.hidden = !!rows.length;
      body.replaceChildren(...rows.slice(0, opt.max).map((r) => {
        const tr = h("tr", opt.bad?.(r) ? { class: "bad" } : {}, ...cols.map((c) => h("td", { class: c.cls ?? "" }, c.show ? c.show(r) : String(c.of(r) ?? ""))));
        if (opt.pick) {
          tr.tabIndex = 0;
          tr.addEventListener("click", () => opt.pick!(r));
          tr.addEventListener("keydown", (e) => { if (e.key === "Enter") opt.pick!(r); });
        }
        return tr;
      }));
    },
  };
}
