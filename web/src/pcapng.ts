// A capture as it comes: blocks of pcapng (draft-ietf-opsawg-pcapng), packets from their IP header on (LINKTYPE_RAW).
export interface Packet { time: number; length: number; comment: string; source: string; target: string; protocol: string; flags: string; data: string }

const PROTOCOLS: Record<number, string> = { 1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6", 132: "sctp" };
const FLAGS: [number, string][] = [[2, "S"], [16, "A"], [1, "F"], [4, "R"], [8, "P"]];
const PACKET = 6, COMMENT = 1;

function ip6(b: Uint8Array): string {
  const words = Array.from({ length: 8 }, (_, i) => ((b[2 * i] << 8) | b[2 * i + 1]).toString(16));
  return words.join(":").replace(/(^|:)0(:0)+(:|$)/, "::");
}

/** What a person wants to see of a packet at a glance; what is cut off stays empty. */
function decode(b: Uint8Array): Pick<Packet, "source" | "target" | "protocol" | "flags" | "data"> {
  const six = b[0] >> 4 === 6, at = six ? 40 : (b[0] & 15) * 4, protocol = six ? b[6] : b[9];
  const [source, target] = six ? [ip6(b.subarray(8, 24)), ip6(b.subarray(24, 40))] : [b.subarray(12, 16).join("."), b.subarray(16, 20).join(".")];
  const ports = (protocol === 6 || protocol === 17) && b.length >= at + 8, port = (i: number) => (b[i] << 8) | b[i + 1];
  const end = (ip: string, p: number) => (ports ? `${six ? `[${ip}]` : ip}:${p}` : ip);
  const tcp = protocol === 6 && b.length >= at + 20, head = tcp ? (b[at + 12] >> 4) * 4 : protocol === 17 ? 8 : b.length;
  return {
    source: end(source, port(at)), target: end(target, port(at + 2)), protocol: PROTOCOLS[protocol] ?? String(protocol),
    flags: tcp ? FLAGS.filter(([bit]) => b[at + 13] & bit).map(([, c]) => c).join("") : "",
    data: Array.from(b.subarray(at + head, at + head + 48), (c) => (c >= 32 && c < 127 ? String.fromCharCode(c) : "·")).join(""),
  };
}

/** Takes bytes as they come; calls @on for each packet that is whole. */
export function reader(on: (p: Packet) => void): (chunk: Uint8Array) => void {
  let rest = new Uint8Array(0);
  return (chunk) => {
    const all = new Uint8Array(rest.length + chunk.length);
    all.set(rest), all.set(chunk, rest.length);
    const view = new DataView(all.buffer);
    let at = 0;
    for (let n = 0; at + 12 <= all.length; at += n) {
      n = view.getUint32(at + 4, true);
      if (n < 12 || n % 4 || at + n > all.length) break;
      if (view.getUint32(at, true) !== PACKET) continue;
      const captured = view.getUint32(at + 20, true), from = at + 28;
      let comment = "";
      for (let o = from + ((captured + 3) & ~3); o + 4 <= at + n - 4; o += 4 + ((view.getUint16(o + 2, true) + 3) & ~3))
        if (view.getUint16(o, true) === COMMENT) comment = new TextDecoder().decode(all.subarray(o + 4, o + 4 + view.getUint16(o + 2, true)));
      const time = (view.getUint32(at + 12, true) * 4294967296 + view.getUint32(at + 16, true)) / 1e6; // weir writes ns
      on({ time, length: view.getUint32(at + 24, true), comment, ...decode(all.subarray(from, from + captured)) });
    }
    rest = all.slice(at);
  };
}
