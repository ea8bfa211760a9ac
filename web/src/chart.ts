import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { panel } from "./dom";

export interface Series { label: string; color: string; show: (v: number) => string; line?: boolean }

/** 24 hours; the date where the axis is longer than a day, seconds where it is short. */
function clock(x: number, all: number[]): string {
  const d = new Date(x * 1000), span = all[all.length - 1] - all[0];
  if (span > 86400) return d.toLocaleDateString("en-GB", { day: "2-digit", month: "2-digit" }) + " " + d.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
  return d.toLocaleTimeString("en-GB", span < 240 ? {} : { hour: "2-digit", minute: "2-digit" });
}

/** A time series with its data as CSV. */
export function chart(title: string, series: Series[]) {
  let data: (number | null)[][] = [[], ...series.map(() => [])], plot: uPlot | undefined;
  const p = panel(title, false, () => ({
    head: ["time", ...series.map((s) => s.label)],
    rows: data[0].map((t, i) => [new Date(Number(t) * 1000).toISOString(), ...series.map((_, s) => data[s + 1][i])]),
  }));
  const css = (v: string) => getComputedStyle(document.documentElement).getPropertyValue(v).trim();
  const make = () => {
    plot?.destroy();
    const axis = { stroke: css("--dim"), grid: { stroke: css("--line"), width: 1 }, ticks: { stroke: css("--line"), width: 1 } };
    plot = new uPlot({
      width: Math.max(280, p.body.clientWidth), height: 190, cursor: { points: { size: 6 } },
      axes: [{ ...axis, values: (_u, v) => v.map((x) => clock(x, v)) }, { ...axis, size: 70, values: (_u, v) => v.map((x) => series[0].show(x)) }],
      scales: { y: { range: (_u, _min, max) => [0, max > 0 ? max * 1.08 : 1] } },
      series: [{ label: "Time", value: (_u: uPlot, v: number | null) => (v === null ? "" : new Date(v * 1000).toLocaleString("en-GB")) }, ...series.map((s, i) => ({ label: s.label, stroke: css(s.color), width: 1.6, dash: i ? [6, 3] : undefined, spanGaps: false, points: { show: !s.line, size: 4, fill: css(s.color) }, value: (_u: uPlot, v: number | null) => (v === null ? "" : s.show(v)) }))],
    }, data as uPlot.AlignedData, p.body);
    plot.root.setAttribute("role", "img");
    plot.root.setAttribute("aria-label", `${title}: ${series.map((s) => s.label).join(", ")} over time; the CSV button has the numbers`);
  };
  const watch = new ResizeObserver(() => plot?.setSize({ width: Math.max(280, p.body.clientWidth), height: 190 }));
  watch.observe(p.body);
  return {
    root: p.root, note: p.note,
    set(next: (number | null)[][]): void { data = next; if (plot) plot.setData(data as uPlot.AlignedData); else make(); },
    theme(): void { if (plot) make(); },
  };
}
