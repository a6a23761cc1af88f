"""SIPp beyond the Debian package: a newer one that speaks TLS, and what its traces tell."""

import os
import pathlib
import re
import subprocess


class Newer:
    """SIPp with TLS out of the PBX's folder (tests/run puts it there), run by that folder's own loader."""

    @staticmethod
    def tree():
        cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
        return pathlib.Path(os.environ.get("WARMLINE_PBX") or os.path.join(cache, "warmline", "pbx"))

    @classmethod
    def installed(cls):
        return (cls.tree() / "usr/bin/sipp").is_file()

    @classmethod
    def command(cls, folder):
        """The words that start it; its certificate is made in `folder`, once."""
        tree, pem, key = cls.tree(), pathlib.Path(folder) / "sipp.pem", pathlib.Path(folder) / "sipp.key"
        if not pem.exists():
            subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=sipp",
                            "-keyout", str(key), "-out", str(pem)], check=True, capture_output=True, stdin=subprocess.DEVNULL)
        libraries = ":".join(str(tree / part) for part in ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"))
        return [str(tree / "lib64/ld-linux-x86-64.so.2"), "--library-path", libraries, str(tree / "usr/bin/sipp"),
                "-tls_cert", str(pem), "-tls_key", str(key)]


def learn_dialog(trace):
    """The dialog of the first INVITE in a party's trace, as somebody is told it who watches that phone (RFC 4235)."""
    text = pathlib.Path(trace).read_text(encoding="utf-8", errors="replace")
    invite = text[text.index("INVITE sip:"):]
    call_id = re.search(r"^(?:Call-ID|i):\s*(\S+)", invite, re.MULTILINE | re.IGNORECASE)
    edge_tag = re.search(r"^(?:From|f):[^\r\n]*;tag=([^;\s]+)", invite, re.MULTILINE | re.IGNORECASE)
    party_tag = re.search(r"^(?:To|t):[^\r\n]*;tag=([^;\s]+)", invite, re.MULTILINE | re.IGNORECASE)
    return {"known_call_id": call_id[1], "known_edge_tag": edge_tag[1], "known_party_tag": party_tag[1]}


def requests_received(text):
    """(first line, top Via) of every request that a party got, from its trace."""
    return re.findall(r"message received \[\d+\] bytes :\s+([A-Z]+ sip\S* SIP/2.0)\s+Via: ([^\r\n]*)", text)
