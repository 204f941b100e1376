"""The networks keep the shapes that the recognizer decodes, losses ignore what is unknown, a training can be resumed."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is needed for training only")

from training.loop import Trainer  # noqa: E402 - only where PyTorch is
from training.models import ColourNet, Detector, Reader, VehicleNet  # noqa: E402
from training.shipped import restore  # noqa: E402
from training.train_detector import focal, plate_loss  # noqa: E402
from training.train_reader import normalise  # noqa: E402


def test_shapes():
    with torch.no_grad():
        assert Reader().eval()(torch.zeros(2, 1, 64, 160)).shape == (2, 40, 37)
        plates, vehicles, small = Detector().eval()(torch.zeros(1, 3, 192, 320))
        assert plates.shape == (1, 13, 24, 40)
        assert vehicles.shape == (1, 9, 12, 20)
        assert small.shape == (1, 9, 24, 40)
        near, far = VehicleNet().eval()(torch.zeros(1, 3, 192, 320))
        assert ColourNet().eval()(torch.zeros(2, 3, 64, 64)).shape == (2, 11)
    assert near.shape == (1, 9, 24, 40)
    assert far.shape == (1, 9, 48, 80)


def test_both_normalisations_are_one():
    from services.recognizer import read

    crops = np.random.default_rng(1).integers(0, 255, (3, 64, 160), dtype=np.uint8)
    ours = normalise(torch.from_numpy(crops).unsqueeze(1).float()).numpy()
    assert ours == pytest.approx(read.normalise(crops), abs=1e-4)


def test_false_alarms_where_nothing_is_known_cost_nothing():
    logits, heat = torch.full((1, 4, 4), 5.0), torch.zeros(1, 4, 4)
    assert float(focal(logits, heat, torch.ones(1, 4, 4))) == 0
    assert float(focal(logits, heat, torch.zeros(1, 4, 4))) > 1


def test_an_empty_picture_gives_a_loss_that_can_be_learnt_from():
    output = torch.zeros(1, 13, 40, 40, requires_grad=True)
    plate_loss(output, torch.zeros(1, 16, 40, 40)).backward()
    assert torch.isfinite(output.grad).all()


def test_a_training_goes_on_where_it_stopped(tmp_path):
    def trainer():
        return Trainer(torch.nn.Linear(2, 1), tmp_path / "t.ckpt", minutes=1, rate=0.1, average=0.9)

    first = trainer()
    for _ in range(12):
        first.update(first.model(torch.ones(1, 2)).square().sum(), clip=1.0)
    first.save(tmp_path / "t.pt")
    second = trainer()
    assert second.step == 12
    assert second.clock.seconds() >= first.clock.spent
    assert torch.equal(second.model.weight, first.model.weight)
    stored = torch.load(tmp_path / "t.pt", weights_only=True)
    assert torch.allclose(stored["weight"], first.averaged["weight"])


# PyTorch says that this exporter will go; the other one names layers in its own way.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_shipped_network_computes_the_same_in_torch_and_goes_on_learning(tmp_path):
    """Exported, folded and restored: same outputs, and in training, where batch norms count, still about the same."""
    torch.manual_seed(4)
    before, inputs = Reader(), torch.randn(48, 1, 64, 160)
    with torch.no_grad():
        for _ in range(60):
            before(inputs)
    before.eval()
    file = tmp_path / "reader.onnx"
    torch.onnx.export(before, (inputs[:1],), str(file), opset_version=17, dynamo=False)
    after = restore(Reader(), file, inputs.split(16))
    with torch.no_grad():
        assert torch.allclose(after.eval()(inputs), before(inputs), atol=1e-3)
        for part in after.modules():
            if isinstance(part, torch.nn.Dropout):
                part.p = 0.0
        assert torch.allclose(after.train()(inputs), before(inputs), atol=0.05)
