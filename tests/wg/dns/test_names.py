"""What the tunnel's resolver answers, seen by dig, with dnsmasq behind it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.wg.dns import kit

kit.require()


@pytest.mark.parametrize("name", ["pixlsrve.home.arpa", "PixlSrve.Home.ARPA", *kit.NAMES])
@pytest.mark.parametrize("transport", ["+notcp", "+tcp"])
async def test_own_names_lead_to_the_tunnels_address(name: str, transport: str) -> None:
    """The host's names have its address in the tunnel, over UDP and TCP, in the spelling they were asked."""
    async with kit.serving() as serving:
        answered = await serving.dig(transport, name)
    assert answered.status == "NOERROR"
    assert answered.records() == [[f"{name}.", "60", "IN", "A", serving.address]]
    assert {"qr", "aa", "ra", "rd"} == answered.flags


@pytest.mark.parametrize("qtype", ["AAAA", "MX", "HTTPS", "TXT", "NS"])
async def test_own_names_have_nothing_else(qtype: str) -> None:
    """For other types than A there is an empty answer with the start of authority (RFC 2308)."""
    async with kit.serving() as serving:
        answered = await serving.dig("pixlsrve.home.arpa", qtype)
    assert (answered.status, answered.records()) == ("NOERROR", [])
    assert [record[3] for record in answered.records("AUTHORITY")] == ["SOA"]


async def test_names_below_ours_do_not_exist() -> None:
    """Nothing below pixlsrve.home.arpa exists, and nobody is asked about it."""
    async with kit.scripted(lambda _: None) as upstream, kit.serving(upstream.server) as serving:
        answered = await serving.dig("photos.pixlsrve.home.arpa")
    assert (answered.status, upstream.asked) == ("NXDOMAIN", [])
    assert answered.records("AUTHORITY")[0][0] == "pixlsrve.home.arpa."


async def test_addresses_in_the_tunnel_are_nobodys_business() -> None:
    """The host's address has its name; other addresses of the tunnel have none, and are asked of nobody (T35)."""
    async with kit.scripted(lambda _: None) as upstream, kit.serving(upstream.server) as serving:
        own = await serving.dig("-x", serving.address)
        other = await serving.dig("-x", f"{serving.prefix}.7")
    assert own.data == ["pixlsrve.home.arpa."]
    assert (other.status, upstream.asked) == ("NXDOMAIN", [])


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("printer.local", "NXDOMAIN"),
        ("hidden.onion", "NXDOMAIN"),
        ("x.invalid", "NXDOMAIN"),
        ("x.alt", "NXDOMAIN"),
        ("1.2.254.169.in-addr.arpa", "NXDOMAIN"),
        ("_dns.resolver.arpa", "NOERROR"),
    ],
)
async def test_special_names_are_asked_of_nobody(name: str, status: str) -> None:
    """Names that mean nothing to other servers do not leave the house (RFC 6762, 7686, 6761, 9476, 9462)."""
    async with kit.scripted(lambda _: None) as upstream, kit.serving(upstream.server) as serving:
        answered = await serving.dig(name, "ANY" if status == "NXDOMAIN" else "SVCB")
    assert (answered.status, answered.records(), upstream.asked) == (status, [], [])


async def test_localhost_is_the_phone_itself() -> None:
    """localhost and names below it are loopback, without asking (RFC 6761 §6.3)."""
    async with kit.serving() as serving:
        four, six = await serving.dig("localhost"), await serving.dig("app.localhost", "AAAA")
    assert (four.data, six.data) == (["127.0.0.1"], ["::1"])


async def test_everything_else_is_forwarded(tmp_path: Path) -> None:
    """Other names have the answers of the resolver behind us, whatever their type."""
    options = (
        "--host-record=www.far.example,192.0.2.7,2001:db8::7",
        "--txt-record=www.far.example,hello there",
        "--mx-host=far.example,mail.far.example,10",
        "--srv-host=_x._tcp.far.example,www.far.example,99",
        "--cname=alias.far.example,www.far.example",
        "--caa-record=far.example,0,issue,ca.example",
        "--local-ttl=300",
    )
    async with kit.dnsmasq(tmp_path, *options) as upstream, kit.serving(upstream.server) as serving:
        a, aaaa = await serving.dig("www.far.example"), await serving.dig("www.far.example", "AAAA")
        alias = await serving.dig("alias.far.example")
        assert (a.data, aaaa.data) == (["192.0.2.7"], ["2001:db8::7"])
        assert alias.data == ["www.far.example.", "192.0.2.7"]
        assert (await serving.dig("www.far.example", "TXT")).data == ['"hello there"']
        assert (await serving.dig("far.example", "MX")).data == ["10 mail.far.example."]
        assert (await serving.dig("_x._tcp.far.example", "SRV")).data == ["0 0 99 www.far.example."]
        assert (await serving.dig("far.example", "CAA")).data == ['0 issue "ca.example"']
        assert "ra" in a.flags
        assert "aa" not in a.flags


async def test_answers_are_kept(tmp_path: Path) -> None:
    """What was answered once is answered again without asking, also when nobody can be asked any more."""
    record = "--host-record=www.far.example,192.0.2.7,300"
    async with kit.dnsmasq(tmp_path, record) as upstream, kit.serving(upstream.server) as serving:
        first = await serving.dig("www.far.example")
        again = await serving.dig("WWW.far.example", client=3)
        assert upstream.log().count("query[A] www.far.example") == 1
        upstream.stop()
        last = await serving.dig("+tcp", "www.far.example")
    assert first.data == again.data == last.data == ["192.0.2.7"]
    assert again.records()[0][0] == "WWW.far.example."
    assert int(last.records()[0][1]) <= int(first.records()[0][1]) == 300


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("www.far.example", "ANY"), "NOERROR"),
        (("far.example", "AXFR"), ""),
        (("+notcp", "far.example", "IXFR=1"), ""),
        (("version.bind", "CH", "TXT"), "REFUSED"),
        (("+norecurse", "www.far.example"), "REFUSED"),
        (("+opcode=NOTIFY", "www.far.example"), "NOTIMP"),
        (("+edns=1", "+noednsnegotiation", "www.far.example"), "BADVERS"),
    ],
)
async def test_questions_that_are_not_for_us(arguments: tuple[str, ...], status: str) -> None:
    """Everything at once, zone transfers, other classes, operations and versions of EDNS are turned down, unasked."""
    async with kit.scripted(lambda _: None) as upstream, kit.serving(upstream.server) as serving:
        answered = await serving.dig(*arguments)
    assert answered.status == status, answered.text
    assert upstream.asked == []
    if "ANY" in arguments:  # RFC 8482
        assert [record[3] for record in answered.records()] == ["HINFO"]
    if "AXFR" in arguments:
        assert "Transfer failed" in answered.text


async def test_long_answers(tmp_path: Path) -> None:
    """An answer that doesn't fit says so, dig comes again over TCP, and nothing is lost on the way from behind us."""
    words = [f"{number:03}" * 60 for number in range(40)]
    record = f"--txt-record=long.far.example,{','.join(words)}"
    async with kit.dnsmasq(tmp_path, record) as upstream, kit.serving(upstream.server) as serving:
        short = await serving.dig("+ignore", "+noedns", "long.far.example", "TXT")
        wide = await serving.dig("+ignore", "+bufsize=4096", "long.far.example", "TXT")
        whole = await serving.dig("long.far.example", "TXT")
    assert "tc" in short.flags & wide.flags
    assert "udp: 1232" in wide.text
    assert short.records() == wide.records() == []
    assert whole.data == [" ".join(f'"{word}"' for word in words)]


async def test_an_answer_of_a_thousand_bytes_fits_edns(tmp_path: Path) -> None:
    """With EDNS, answers up to 1,232 bytes come by UDP; without, up to 512."""
    record = f"--txt-record=long.far.example,{','.join(['x' * 250] * 4)}"
    async with kit.dnsmasq(tmp_path, record) as upstream, kit.serving(upstream.server) as serving:
        wide = await serving.dig("+ignore", "+bufsize=4096", "long.far.example", "TXT")
        short = await serving.dig("+ignore", "+noedns", "long.far.example", "TXT")
    assert ("tc" in wide.flags, len(wide.data)) == (False, 1)
    assert "tc" in short.flags


@pytest.mark.parametrize("transport", ["+notcp", "+tcp"])
async def test_nobody_outside_the_tunnel_is_answered(transport: str) -> None:
    """A question from an address that is not in the tunnel gets no answer (T35)."""
    async with kit.serving() as serving:
        for source in ("127.0.0.1", "127.55.0.2"):
            answered = await kit.dig(
                *(transport, "+time=1", "pixlsrve.home.arpa"), server=serving.address, port=serving.port, source=source
            )
            assert (answered.status, answered.code) == ("", 9), answered.text
        assert (await serving.dig("pixlsrve.home.arpa")).data == [serving.address]
