# IN:  tables of a study, or of a family that was trained
# OUT: a figure; every rule of a figure inherits from the one here, and says what it is drawn from, where to and by what


rule draw_figure:
    """Draw a figure by the library's function that `spec` names; not a figure itself, every figure's rule inherits it."""
    group:
        "figures"
    params:
        spec=spec("draw_figure"),
    script:
        "../scripts/draw_figure.py"
