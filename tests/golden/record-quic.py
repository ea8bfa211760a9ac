# SPDX-License-Identifier: Apache-2.0
"""One QUIC connection to record: record-quic.py CERT KEY, beside `tcpdump -i lo -w quic-v1.pcap udp port 4433`. Needs the module aioquic."""
import asyncio, ssl, sys
from aioquic.asyncio import connect, serve
from aioquic.h3.connection import H3_ALPN
from aioquic.quic.configuration import QuicConfiguration


async def main():
    server = QuicConfiguration(is_client=False, alpn_protocols=H3_ALPN)
    server.load_cert_chain(*sys.argv[1:3])
    await serve("127.0.0.1", 4433, configuration=server)
    client = QuicConfiguration(is_client=True, alpn_protocols=H3_ALPN, server_name="quic.test", verify_mode=ssl.CERT_NONE)
    async with connect("127.0.0.1", 4433, configuration=client) as c:
        await c.ping()

asyncio.run(main())
