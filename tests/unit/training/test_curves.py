import xml.etree.ElementTree as ET

from training.curves import svg

LOG = (
    {"loss": 2.0, "step": 5},
    {"eval_loss": 1.5, "eval_adherence": 0.5, "eval_status": 0.4, "step": 10},
    {"loss": 1.0, "step": 10},
    {"train_loss": 1.5, "step": 10},
)


def test_the_picture_is_well_formed_and_says_in_words_what_it_shows() -> None:
    root = ET.fromstring(svg(LOG, "acme & co@v1"))  # noqa: S314 - our own picture
    said = root.attrib["aria-label"]
    assert "training 1.5 at step 10" in said
    assert "adherence 0.5 at step 10" in said


def test_lines_without_points_and_empty_logs_are_no_lines() -> None:
    assert "citations" not in svg(LOG, "a@v1")
    assert "nothing was logged" in svg((), "a@v1")


def test_no_point_lies_outside_its_panel() -> None:
    root = ET.fromstring(svg(LOG, "a@v1"))  # noqa: S314 - our own picture
    paths = [e for e in root.iter() if e.attrib.get("class") in {"c0", "c1", "c2"}]
    assert len(paths) == 4
    for path in paths:
        for point in path.attrib["d"].lstrip("M").split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= 860
            assert 0 <= y <= 620
