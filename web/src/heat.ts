import { h, panel, svg } from "./dom";

const CELL = 18, HEAD = 150, MAX_CELLS = 60;

/** How long each stage took in each window: the darker, the longer (logarithmic); empty where nothing passed. */
export function heat(title: string, show: (v: number) => string) {
  let names: string[] = [], times: number[] = [], cells: (number | null)[][] = [];
  const p = panel(title, true, () => ({ head: ["time", ...names], rows: times.map((t, i) => [new Date(t * 1000).toISOString(), ...cells.map((c) => c[i])]) }));
  const none = h("p", { class: "note" }, "No request in this time.");
  return {
    root: p.root, note: p.note,
    /** @cells: a row for each name, a cell for each time (s). */
    set(nextNames: string[], nextTimes: number[], nextCells: (number | null)[][]): void {
      names = nextNames; times = nextTimes.slice(-MAX_CELLS); cells = nextCells.map((c) => c.slice(-MAX_CELLS));
      const all = cells.flat().filter((v): v is number => v !== null && v > 0);
      if (!all.length) { p.body.replaceChildren(none); p.note.textContent = ""; return; }
      const low = Math.log(Math.min(...all)), span = Math.max(1e-9, Math.log(Math.max(...all)) - low);
      const clock = (t: number) => new Date(t * 1000).toLocaleTimeString("en-GB");
      const root = svg("svg", { class: "heat", viewBox: `0 0 ${HEAD + times.length * CELL} ${(names.length + 1) * CELL + 6}`, role: "img",
        "aria-label": `${title}: ${names.join(", ")}; the CSV button has the numbers` });
      names.forEach((n, y) => {
        root.append(svg("text", { x: HEAD - 8, y: y * CELL + 13, "text-anchor": "end" }, n));
        cells[y].forEach((v, x) => {
          if (v === null) { root.append(svg("rect", { class: "none", x: HEAD + x * CELL, y: y * CELL, width: CELL - 2, height: CELL - 2, rx: 2 })); return; }
          const share = v > 0 ? (Math.log(v) - low) / span : 0;
          root.append(svg("rect", { x: HEAD + x * CELL, y: y * CELL, width: CELL - 2, height: CELL - 2, rx: 2, "fill-opacity": (0.1 + 0.9 * share).toFixed(3) },
            svg("title", {}, `${n}, ${clock(times[x])}: ${show(v)}`)));
        });
      });
      const y = names.length * CELL + 16, last = HEAD + times.length * CELL;
      root.append(svg("text", { x: HEAD, y }, clock(times[0])));
      if (times.length > 8) root.append(svg("text", { x: last, y, "text-anchor": "end" }, clock(times[times.length - 1])));
      p.note.textContent = `from ${show(Math.exp(low))} (light) to ${show(Math.exp(low + span))} (dark)`;
      p.body.replaceChildren(root);
    },
  };
}
