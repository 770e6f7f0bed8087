# SPDX-License-Identifier: ISC
"""A certificate authority for one test run, made with the openssl command."""
import datetime
import pathlib
import subprocess
import tempfile

NAMES = ("localhost", "mail.example.org", "*.wild.example.org")


def openssl(*arguments, data=None):
    return subprocess.run(["openssl", *map(str, arguments)], check=True,
                          input=data, capture_output=True).stdout


class Leaf:
    """A certificate: chain (leaf first) and key files."""

    def __init__(self, chain, key):
        self.chain = chain
        self.key = key

    def serial(self):
        return openssl("x509", "-in", self.chain, "-noout", "-serial") \
            .decode().strip().split("=")[1]


class Certs:
    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o755)
        self.ca = self.directory / "ca.pem"
        self._ca_key = self.directory / "ca.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt",
                "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                "-subj", "/CN=Sallyport test CA", "-keyout", self._ca_key,
                "-out", self.ca, "-addext", "basicConstraints=critical,CA:TRUE",
                "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def leaf(self, name, kind="ecdsa", names=NAMES, days=30, seconds=None,
             starts=-3600, usage="serverAuth", same_key=None):
        """A new certificate in NAME.pem and NAME.key, replacing an old one;
        `seconds`: it ends so long from now; `starts`: it begins then;
        `same_key`: it is for the key of this file."""
        chain = self.directory / f"{name}.pem"
        key = self.directory / f"{name}.key"
        request = self.directory / f"{name}.csr"
        extension = self.directory / f"{name}.ext"
        if same_key is not None:
            key.write_bytes(pathlib.Path(same_key).read_bytes())
        elif kind == "ecdsa":
            openssl("genpkey", "-algorithm", "EC", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-out", key)
        else:
            openssl("genpkey", "-algorithm", "RSA", "-pkeyopt",
                    "rsa_keygen_bits:2048", "-out", key)
        alternatives = [f"DNS:{n}" for n in names] + ["IP:127.0.0.1"]
        extension.write_text(
            f"subjectAltName={','.join(alternatives)}\n"
            "basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\n"
            f"extendedKeyUsage={usage}\n")
        openssl("req", "-new", "-key", key, "-subj", f"/CN={names[0]}",
                "-out", request)
        if seconds is None and starts < 0:
            openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey",
                    self._ca_key, "-CAcreateserial", "-days", days,
                    "-extfile", extension, "-out", chain)
        else:
            self._sign(request, extension, chain, starts,
                       seconds or days * 86400)
        chain.write_bytes(chain.read_bytes() + self.ca.read_bytes())
        return Leaf(chain, key)

    def _sign(self, request, extension, chain, starts, ends):
        """`openssl x509` knows whole days only."""
        with tempfile.TemporaryDirectory() as path:
            directory = pathlib.Path(path)
            (directory / "index").write_text("")
            config = directory / "ca.conf"
            config.write_text(
                "[ca]\ndefault_ca = d\n[d]\n"
                f"database = {directory}/index\nnew_certs_dir = {directory}\n"
                "rand_serial = yes\ndefault_md = sha256\npolicy = p\n"
                "[p]\ncommonName = supplied\n")
            now = datetime.datetime.now(datetime.timezone.utc)

            def text(delta):
                return (now + datetime.timedelta(seconds=delta)).strftime(
                    "%Y%m%d%H%M%SZ")
            openssl("ca", "-batch", "-notext", "-config", config, "-cert",
                    self.ca, "-keyfile", self._ca_key, "-in", request,
                    "-out", chain, "-extfile", extension, "-startdate",
                    text(starts), "-enddate", text(ends))

    def client(self, name, alternatives="", common=None):
        """A client's certificate and key in one file."""
        both = self.directory / f"client-{name}.pem"
        key = self.directory / f"client-{name}.key"
        request = self.directory / f"client-{name}.csr"
        extension = self.directory / f"client-{name}.ext"
        extension.write_text(
            (f"subjectAltName={alternatives}\n" if alternatives else "") +
            "basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\n"
            "extendedKeyUsage=clientAuth\n")
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt",
                "ec_paramgen_curve:P-256", "-out", key)
        openssl("req", "-new", "-key", key, "-subj", f"/CN={common or name}",
                "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey",
                self._ca_key, "-CAcreateserial", "-days", 30, "-extfile",
                extension, "-out", both)
        both.write_bytes(both.read_bytes() + key.read_bytes())
        return both

    def revoke(self, *certificates, seconds=3600):
        """A revocation list that names the certificates (files)."""
        with tempfile.TemporaryDirectory() as path:
            directory = pathlib.Path(path)
            (directory / "index").write_text("")
            config = directory / "ca.conf"
            config.write_text(
                "[ca]\ndefault_ca = d\n[d]\n"
                f"database = {directory}/index\ndefault_md = sha256\n")
            common = ("ca", "-config", config, "-cert", self.ca, "-keyfile",
                      self._ca_key)
            for certificate in certificates:
                openssl(*common, "-revoke", certificate)
            made = self.directory / "clients.crl"
            openssl(*common, "-gencrl", "-crlsec", seconds, "-out", made)
        return made
