# IN:  what each study builds: its figures, and its findings in words
# OUT: nothing of its own; one target per study, of its name


rule phrenology:
    input:
        targets("phrenology"),


rule attentionviz:
    input:
        targets("attentionviz"),


rule circuits:
    input:
        targets("circuits"),


rule induction:
    input:
        targets("induction"),
