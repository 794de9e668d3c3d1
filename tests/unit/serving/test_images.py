from __future__ import annotations

import base64
import gzip
import io

import httpx2
import pytest
from PIL import Image

from configs.serving import LimitsConfig
from serving.errors import Refusal
from serving.fetch import Fetcher, is_public
from serving.images import Images
from serving.schema import Message

PUBLIC = "93.184.215.14"


def picture(size=(8, 4), form: str = "PNG", mode: str = "RGB") -> bytes:
    file = io.BytesIO()
    Image.new(mode, size, 128).save(file, form)
    return file.getvalue()


def uri(data: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


def message(*urls: str, role: str = "user") -> Message:
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return Message.model_validate({"role": role, "content": [{"type": "text", "text": "a"}, *parts]})


def images(fetcher: Fetcher | None = None, **limits) -> Images:
    return Images(LimitsConfig(**limits), fetcher or Fetcher(()))


@pytest.mark.parametrize(
    ("form", "mode"), [("PNG", "RGB"), ("PNG", "LA"), ("PNG", "1"), ("JPEG", "RGB"), ("WEBP", "RGB")]
)
async def test_images_become_what_training_reads(form, mode) -> None:
    (turn,) = await images().chat([message(uri(picture(form=form, mode=mode)))])
    assert (turn.role, turn.text) == ("user", "a")
    assert [(image.mode, image.size) for image in turn.images] == [("RGB", (8, 4))]


async def test_turns_keep_their_text_and_reasoning() -> None:
    given = [
        {"role": "developer", "content": "be short"},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "assistant", "content": "c", "reasoning_content": "because"},
        {"role": "user", "content": None},
    ]
    turns = await images().chat([Message.model_validate(one) for one in given])
    assert [(turn.role, turn.text, turn.reasoning) for turn in turns] == [
        ("system", "be short", None),
        ("user", "a\nb", None),
        ("assistant", "c", "because"),
        ("user", "", None),
    ]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (uri(picture((2000, 2000))), "4000000|2000 x 2000"),
        (uri(picture(form="GIF")), "cannot be read"),
        (uri(picture()[:45]), "cannot be read"),
        (uri(b""), "cannot be read"),
        ("data:image/png,abc", "expected an image as data"),
        ("data:image/png;base64,a b", "not base64"),
        (uri(b"x" * 200_000), "MiB"),
        ("file:///etc/passwd", "data URI or by http"),
        ("http://example.org/a.png", "not allowed here"),
        ("/etc/passwd", "data URI or by http"),
    ],
)
async def test_what_is_no_image_is_refused(url, words) -> None:
    with pytest.raises(Refusal, match=words) as refused:
        await images(image_megapixels=1.0, image_mib=0.1).chat([message(url)])
    assert refused.value.status == 400


async def test_a_huge_picture_in_a_small_file_is_never_decoded(monkeypatch) -> None:
    bomb = picture((13000, 13000), mode="1")
    assert len(bomb) < 50_000
    monkeypatch.setattr(Image.Image, "load", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(Refusal, match="13000 x 13000 pixels, and 16 million"):
        await images().chat([message(uri(bomb))])


async def test_too_many_images_are_refused_before_any_is_read() -> None:
    with pytest.raises(Refusal, match="3 images, and 2"):
        await images(images=2).chat([message("x"), message("x", "x")])


async def test_only_users_have_images() -> None:
    with pytest.raises(Refusal, match="this is of system"):
        await images().chat([message(uri(picture()), role="system")])


class Web:
    """Name servers and a web server of a test: what was connected to, and how it answered."""

    def __init__(self, *addresses: str, answer: httpx2.Response | None = None) -> None:
        self.addresses = addresses
        self.answer = answer or httpx2.Response(200, content=picture())
        self.asked: list[httpx2.Request] = []
        self.resolved = 0

    async def resolve(self, host: str, port: int) -> list[str]:
        self.resolved += 1
        return list(self.addresses)

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        return self.answer

    def fetcher(self) -> Fetcher:
        return Fetcher(["images.example"], resolve=self.resolve, transport=httpx2.MockTransport(self))


async def test_an_allowed_host_is_asked_at_the_very_address_that_was_checked() -> None:
    web = Web(PUBLIC)
    (turn,) = await images(web.fetcher()).chat([message("https://Images.Example/a.png?b=c")])
    assert turn.images[0].size == (8, 4)
    (request,) = web.asked
    assert (request.url.host, request.url.path, request.headers["host"]) == (PUBLIC, "/a.png", "images.example")
    assert request.extensions["sni_hostname"] == "images.example"
    assert web.resolved == 1


@pytest.mark.parametrize(
    "url",
    [
        "https://other.example/a.png",
        "https://images.example.evil.org/a.png",
        "https://images.example@evil.org/a.png",
        "https://evil.org\\@images.example/a.png",
        "https://user:pw@images.example/a.png",
        "https://images.example:8080/a.png",
        "http://images.example:22/",
        "ftp://images.example/a.png",
        "https://[::1]/a.png",
        "https://",
    ],
)
async def test_other_places_are_not_asked(url) -> None:
    web = Web(PUBLIC)
    with pytest.raises(Refusal):
        await images(web.fetcher()).chat([message(url)])
    assert web.asked == []


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fd00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "2002:7f00:1::",
        "64:ff9b::7f00:1",
        "nonsense",
    ],
)
async def test_a_name_that_leads_inside_is_not_followed(address) -> None:
    assert not is_public(address)
    for addresses in ((address,), (PUBLIC, address)):
        web = Web(*addresses)
        with pytest.raises(Refusal, match="does not lead to a public address"):
            await images(web.fetcher()).chat([message("https://images.example/a.png")])
        assert web.asked == []


@pytest.mark.parametrize("address", [PUBLIC, "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:93.184.215.14"])
def test_public_addresses_are_known(address) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(302, headers={"location": "http://169.254.169.254/"}),
        httpx2.Response(404),
        httpx2.Response(200, content=b"<html>"),
        httpx2.Response(200, headers={"content-encoding": "gzip"}, content=gzip.compress(picture())),
        httpx2.Response(200, content=b"x" * 9 * 2**20),
    ],
)
async def test_redirects_errors_and_other_content_are_refused(answer) -> None:
    web = Web(PUBLIC, answer=answer)
    with pytest.raises(Refusal):
        await images(web.fetcher()).chat([message("https://images.example/a.png")])
    assert len(web.asked) == 1
