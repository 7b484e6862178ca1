"""The directory an application is pointed at."""

import stat
import tomllib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

from payhub_alikassa.sandbox import Account, Sandbox, write_directory

FILES = [
    "cert/notification/public.pem",
    "cert/payment/password.txt",
    "cert/payment/private.pem",
    "cert/payment/public.pem",
    "cert/payout/password.txt",
    "cert/payout/private.pem",
    "cert/payout/public.pem",
    "payhub.toml",
    "sandbox/notification-private.pem",
]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a directory once, to be looked at."""
    directory = tmp_path_factory.mktemp("shop")
    write_directory(directory, 8765)
    return directory


def _files(directory: Path) -> dict[str, bytes]:
    found = (path for path in sorted(directory.rglob("*")) if path.is_file())
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in found}


def test_all_files_are_there_and_private(written: Path) -> None:
    """Only their owner may read them."""
    assert list(_files(written)) == FILES
    modes = {stat.S_IMODE((written / name).stat().st_mode) for name in FILES}
    assert modes == {0o600}


@pytest.mark.parametrize(
    ("role", "header"),
    [
        ("payment", "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"),
        (
            "payout",
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,",
        ),
    ],
)
def test_private_keys_come_in_both_encrypted_forms(written: Path, role: str, header: str) -> None:
    """The password opens them as it is; a trailing newline would not."""
    folder = written / "cert" / role
    pem = (folder / "private.pem").read_bytes()
    password = (folder / "password.txt").read_bytes()
    assert pem.decode().startswith(header)
    assert len(password) >= 20
    assert password.strip() == password
    key = serialization.load_pem_private_key(pem, password)
    assert isinstance(key, rsa.RSAPrivateKey)
    assert key.key_size == 2048
    assert _public(key) == (folder / "public.pem").read_bytes()
    with pytest.raises(TypeError):
        serialization.load_pem_private_key(pem, None)


def test_the_notification_pair_fits(written: Path) -> None:
    """The private half is the sandbox's own, apart from what a merchant gets."""
    pem = (written / "sandbox" / "notification-private.pem").read_bytes()
    key = serialization.load_pem_private_key(pem, None)
    public = serialization.load_pem_public_key((written / "cert/notification/public.pem").read_bytes())
    assert isinstance(key, rsa.RSAPrivateKey)
    assert isinstance(public, rsa.RSAPublicKey)
    signature = key.sign(b"x", padding.PKCS1v15(), hashes.SHA1())
    public.verify(signature, b"x", padding.PKCS1v15(), hashes.SHA1())


def test_passwords_and_keys_differ(written: Path) -> None:
    """Three pairs, two passwords."""
    files = _files(written)
    assert len({content for name, content in files.items() if name.startswith("cert")}) == 7


def test_the_configuration_is_ready(written: Path) -> None:
    """With paths relative to the file, and a journal beside it, so that what is tried is remembered."""
    config = tomllib.loads((written / "payhub.toml").read_text())
    assert config == {
        "journal": {"url": "sqlite:///payhub.db"},
        "accounts": {
            "alikassa-rub": {
                "provider": "alikassa",
                "account": "93d5df06-996c-48c3-9847-348d6b580b80",
                "currency": "RUB",
                "base_url": "http://127.0.0.1:8765",
                "payment_cert": "cert/payment",
                "payout_cert": "cert/payout",
                "notification_key": "cert/notification/public.pem",
                "digest": "sha1",
            }
        },
    }


def test_a_second_start_keeps_everything_but_the_address(tmp_path: Path) -> None:
    """Keys stay, and so does what somebody wrote into the configuration."""
    path = write_directory(tmp_path, 1111)
    before = _files(tmp_path)
    mine = path.read_text().replace("sqlite:///payhub.db", "sqlite:///elsewhere.db")
    other = '[accounts.shop]\nbase_url = "http://127.0.0.1:1"\n'
    path.write_text(f"{mine}\n{other}")
    assert write_directory(tmp_path, 2222) == path
    assert path.read_text() == f"{mine}\n{other}".replace("1111", "2222")
    assert {**_files(tmp_path), "payhub.toml": b""} == {**before, "payhub.toml": b""}


def test_another_currency_is_another_account(tmp_path: Path) -> None:
    """It is added to the same file, and uses the same keys."""
    write_directory(tmp_path, 1111)
    write_directory(tmp_path, 2222, Account(currency="KZT", digest="sha256"))
    accounts = tomllib.loads((tmp_path / "payhub.toml").read_text())["accounts"]
    assert [(name, account["base_url"][-4:]) for name, account in accounts.items()] == [
        ("alikassa-rub", "1111"),
        ("alikassa-kzt", "2222"),
    ]
    assert (accounts["alikassa-kzt"]["currency"], accounts["alikassa-kzt"]["digest"]) == (
        "KZT",
        "sha256",
    )


@pytest.mark.parametrize("name", [name for name in FILES if name != "payhub.toml"])
def test_half_a_pair_is_never_completed(tmp_path: Path, written: Path, name: str) -> None:
    """Somebody's key lies there: it is named, and nothing is touched."""
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    path.write_bytes((written / name).read_bytes())
    with pytest.raises(FileExistsError, match="is missing beside its other half"):
        write_directory(tmp_path, 1)
    assert path.read_bytes() == (written / name).read_bytes()
    assert not (tmp_path / "payhub.toml").exists()


def test_a_key_that_is_not_rsa_is_refused(tmp_path: Path) -> None:
    """Before anything is served."""
    write_directory(tmp_path, 1)
    path = tmp_path / "cert" / "payout" / "public.pem"
    path.write_text(
        "-----BEGIN PUBLIC KEY-----\n"
        "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n"
        "-----END PUBLIC KEY-----\n"
    )
    with pytest.raises(TypeError, match="not an RSA public key"), Sandbox(tmp_path):
        pass


def test_a_notification_key_that_is_not_rsa_is_refused(tmp_path: Path) -> None:
    """Before anything is served, and by its name."""
    write_directory(tmp_path, 1)
    other = ed25519.Ed25519PrivateKey.generate()
    forms = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "sandbox/notification-private.pem").write_bytes(other.private_bytes(*forms))
    with pytest.raises(TypeError, match=r"notification-private\.pem is not an RSA private key"), Sandbox(tmp_path):
        pass


def _public(key: rsa.RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
