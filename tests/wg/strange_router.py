"""A router's UPnP part that means harm or is odd, for a namespace. Usage: KIND ADDRESS [OUTER]

KIND is one of those in KINDS; ADDRESS is where it answers, on SSDP's port and on 5000. Writes `ready`, then a line for
each HTTP request.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import cast

ELSEWHERE = "192.168.7.9"
PORT = 5_000
ENDLESS_BYTES = 200_000_000
KINDS = ("odd", "huge", "redirect", "elsewhere", "control", "bomb", "deep", "many", "garbage", "silent")
IP_CONNECTION = "urn:schemas-upnp-org:service:WANIPConnection:1"
SERVICE = """<service><serviceType>{kind}</serviceType><serviceId>urn:upnp-org:serviceId:WANIPConn1</serviceId>
<SCPDURL>/scpd.xml</SCPDURL><controlURL>{control}</controlURL><eventSubURL>/evt</eventSubURL></service>"""
DEVICE = """<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0">
<specVersion><major>1</major><minor>0</minor></specVersion><device>
<deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:1</deviceType><friendlyName>odd</friendlyName>
<manufacturer>odd</manufacturer><modelName>odd</modelName><UDN>uuid:2cad5fe1-b850-45ce-b47e-a5e8e094f81b</UDN>
<serviceList>{services}</serviceList></device></root>"""
ARGUMENT = """<argument><name>{name}</name><direction>{way}</direction>
<relatedStateVariable>{kind}</relatedStateVariable></argument>"""
ACTIONS = {
    "GetExternalIPAddress": ((), ("NewExternalIPAddress",)),
    "GetSpecificPortMappingEntry": (
        ("NewRemoteHost", "NewExternalPort", "NewProtocol"),
        ("NewInternalPort", "NewInternalClient"),
    ),
    "AddPortMapping": (("NewRemoteHost", "NewExternalPort", "NewProtocol", "NewInternalPort", "NewInternalClient"), ()),
    "DeletePortMapping": (("NewRemoteHost", "NewExternalPort", "NewProtocol"), ()),
}
FAULT = """<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault><faultcode>s:Client</faultcode>
<faultstring>UPnPError</faultstring><detail><UPnPError xmlns="urn:schemas-upnp-org:control-1-0">
<errorCode>714</errorCode><errorDescription>NoSuchEntryInArray</errorDescription></UPnPError></detail></s:Fault></s:Body></s:Envelope>"""
BOMB = """<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;">]><root>&d;&d;&d;&d;</root>"""


def scpd() -> str:
    """What the service can do."""
    actions = []
    for name, (takes, gives) in ACTIONS.items():
        ways = [(each, "in") for each in takes] + [(each, "out") for each in gives]
        rows = [
            ARGUMENT.format(name=each, way=way, kind="Number" if each.endswith("Port") else "Text")
            for each, way in ways
        ]
        actions.append(f"<action><name>{name}</name><argumentList>{''.join(rows)}</argumentList></action>")
    return (
        '<?xml version="1.0"?><scpd xmlns="urn:schemas-upnp-org:service-1-0"><specVersion><major>1</major>'
        f"<minor>0</minor></specVersion><actionList>{''.join(actions)}</actionList><serviceStateTable>"
        '<stateVariable sendEvents="no"><name>Text</name><dataType>string</dataType></stateVariable>'
        '<stateVariable sendEvents="no"><name>Number</name><dataType>ui2</dataType></stateVariable>'
        "</serviceStateTable></scpd>"
    )


def description(kind: str) -> str:
    """The device's description, good or bad."""
    if kind == "bomb":
        return BOMB
    if kind == "deep":
        return '<?xml version="1.0"?>' + "<a>" * 9_000 + "</a>" * 9_000
    if kind == "garbage":
        return "<root" + "\0\ufffd<<<>" * 100
    control = f"http://{ELSEWHERE}:{PORT}/control" if kind == "control" else "/control"
    count = 150 if kind == "many" else 1
    other = "urn:schemas-upnp-org:service:Other:1"
    return DEVICE.format(
        services=SERVICE.format(kind=other if kind == "many" else IP_CONNECTION, control=control) * count
    )


def soap(body: str, outer: str) -> tuple[int, str]:
    """The answer to a call."""
    name = next((name for name in ACTIONS if f"<u:{name} " in body), "")
    if name == "GetSpecificPortMappingEntry":
        return 500, FAULT
    inner = f"<NewExternalIPAddress>{outer}</NewExternalIPAddress>" if name == "GetExternalIPAddress" else ""
    return 200, (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
        f'<u:{name}Response xmlns:u="{IP_CONNECTION}">{inner}</u:{name}Response></s:Body></s:Envelope>'
    )


class Ssdp(asyncio.DatagramProtocol):
    """Answers searches."""

    def __init__(self, location: str) -> None:
        self._location = location
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """There is a socket."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """A search."""
        if data.startswith(b"M-SEARCH") and self._transport is not None:
            answer = (
                "HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\n"
                "ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n"
                f"USN: uuid:1\r\nEXT:\r\nSERVER: odd\r\nLOCATION: {self._location}\r\nCONTENT-LENGTH: 0\r\n\r\n"
            )
            self._transport.sendto(answer.encode(), addr)


async def answer(kind: str, outer: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One HTTP request."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    print(head.partition("\r\n")[0], flush=True)
    length = next((int(line[15:]) for line in head.splitlines() if line.lower().startswith("content-length:")), 0)
    body = (await reader.readexactly(length)).decode()
    status, text = 200, description(kind)
    if "/scpd.xml" in head:
        text = scpd()
    elif head.startswith("POST"):
        status, text = soap(body, outer)
    lines = [f"HTTP/1.1 {302 if kind == 'redirect' else status} OK", "Content-Type: text/xml", "Connection: close"]
    lines += [f"Location: http://{ELSEWHERE}:{PORT}/"] if kind == "redirect" else []
    size = ENDLESS_BYTES if kind == "huge" else len(text.encode())
    writer.write("\r\n".join([*lines, f"Content-Length: {size}", "", ""]).encode() + text.encode())
    try:
        for _ in range(ENDLESS_BYTES // 1_000_000 if kind == "huge" else 0):
            writer.write(b" " * 1_000_000)
            await writer.drain()
        await writer.drain()
    except ConnectionError:
        print("cut off", flush=True)
    writer.close()


async def main(kind: str, address: str, outer: str = "81.2.69.10") -> None:
    """Until it is killed."""
    at = ELSEWHERE if kind == "elsewhere" else address
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(("", 1_900))
    group = socket.inet_aton("239.255.255.250") + socket.inet_aton(address)
    made.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: Ssdp(f"http://{at}:{PORT}/root.xml"), sock=made)
    server = await asyncio.start_server(lambda reader, writer: answer(kind, outer, reader, writer), address, PORT)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
