"""Whatever is killed, full, damaged or gone: a rerun ends with what an undisturbed run gives, or says what is wrong."""

import resource
import shutil

import pytest
import yaml

from study_runs import CONFIG, contents, fresh, results

WEIGHTS = "models/tiny/model.safetensors"
FIRST_HALF = "results/study/phrenology/distances.parquet"  # of the study, where that shows the fault as well


def assert_agrees(checkout, undisturbed):
    """All that is there is what the undisturbed run gave."""
    found, expected = contents(checkout), contents(undisturbed)
    assert len(found) > 5
    assert found == {name: expected.get(name) for name in found}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A checkout in which the study has run on one core, without a fault."""
    checkout = fresh(tmp_path_factory.mktemp("faults") / "undisturbed")
    checkout.first = checkout.snakemake("--cores", "1", config=CONFIG)
    return checkout


@pytest.fixture
def checkout(undisturbed, tmp_path):
    return undisturbed.copy(tmp_path / "copy")


def test_a_full_disk_is_named_and_leaves_nothing(undisturbed, tmp_path):
    checkout = fresh(tmp_path / "full")
    limit = 20_000  # bytes of a file: enough for windows, too little for patterns
    process = checkout.start(
        FIRST_HALF,
        "--cores",
        "1",
        config=CONFIG,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    said, _ = process.communicate()
    assert process.returncode != 0
    assert "File too large" in said
    assert "Traceback" not in said
    large = [path for path in checkout.folder.glob("results/**/*") if path.is_file() and path.stat().st_size >= limit]
    assert large == []
    checkout.snakemake(FIRST_HALF, "--cores", "1", config=CONFIG)
    assert_agrees(checkout, undisturbed)


@pytest.mark.parametrize("harm", ["flipped bit", "truncated"])
@pytest.mark.parametrize("name", [WEIGHTS, "attention/tiny/patterns.parquet"])
def test_a_damaged_result_is_named_and_computed_anew(checkout, undisturbed, name, harm):
    path = results(checkout) / name
    whole = path.read_bytes()
    middle = len(whole) // 2
    path.chmod(0o644)
    with open(path, "r+b") as file:  # in place, so that the store's entry, the same file, is damaged with it
        if harm == "truncated":
            file.truncate(middle)
        else:
            file.seek(middle)
            file.write(bytes([whole[middle] ^ 16]))
    ran = checkout.snakemake(FIRST_HALF, "--cores", "1", config=CONFIG, check=False)
    assert ran.code != 0
    assert f"{name}:" in ran.said
    assert "delete it and run again" in ran.said
    assert "Traceback" not in ran.said
    path.unlink()
    checkout.snakemake(f"results/study/{name}", FIRST_HALF, "--cores", "1", config=CONFIG)
    assert path.read_bytes() == whole
    assert_agrees(checkout, undisturbed)


def test_two_runs_at_once_share_one_store(undisturbed, tmp_path):
    pair = [fresh(tmp_path / name) for name in ("one", "other")]
    config = yaml.safe_load((pair[0].folder / CONFIG).read_text()) | {"store": str(tmp_path / "store")}
    for checkout in pair:
        (checkout.folder / CONFIG).write_text(yaml.safe_dump(config))
    running = [checkout.start(FIRST_HALF, "--cores", "1", config=CONFIG) for checkout in pair]
    for process in running:
        said, _ = process.communicate()
        assert process.returncode == 0, said
    for checkout in pair:
        assert_agrees(checkout, undisturbed)


def test_a_store_that_cannot_be_written_costs_no_result(undisturbed, tmp_path):
    checkout = fresh(tmp_path / "unwritable")
    config = yaml.safe_load((checkout.folder / CONFIG).read_text())
    (checkout.folder / "taken").write_text("a file where the store should lie")
    (checkout.folder / CONFIG).write_text(yaml.safe_dump(config | {"store": "taken/store"}))
    checkout.snakemake(FIRST_HALF, "--cores", "1", config=CONFIG)
    assert_agrees(checkout, undisturbed)
    assert "cannot be written" in (results(checkout) / "logs/train_model/tiny.log").read_text()


def test_a_store_that_is_gone_reruns_nothing(checkout):
    shutil.rmtree(checkout.folder / ".cache")
    assert not checkout.snakemake("--cores", "1", config=CONFIG).jobs
