"""What svm@ measures: how far few labels go with a linear classifier on a model's features."""

from gen.evaluators import Number

NUMBERS = {
    "svm": Number(
        "smaller",
        "Test error in percent with few labels, of the first training; in brackets the spread over labelled sets.",
    ),
    "knn": Number("smaller", "The same by the nearest labelled image."),
}
