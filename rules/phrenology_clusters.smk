# IN:  attention/{model}/patterns.parquet of every model that the study of phrenology compares
# OUT: phrenology/{kinds,plateaus,continua,partners,stability,agreement,consensus,names,head_cards,kinds.md}, and as
#      published {autoencoders,importance,decoded,embeddings_*,resolutions,clusters}


rule fit_autoencoders:
    """Train autoencoders of every width and seed under both protocols; embed the heads with the one chosen."""
    input:
        patterns=of_models("phrenology", "<results>/attention/{model}/patterns.parquet"),
    output:
        **tables("phrenology", "autoencoders", "importance", "decoded"),
        published="<results>/phrenology/embeddings_published.parquet",
        corrected="<results>/phrenology/embeddings_corrected.parquet",
    threads: 2
    resources:
        gpu=1,
    params:
        spec=spec("fit_autoencoders", **study_settings("phrenology", "models", "autoencoders", "seed")),
    script:
        "../scripts/fit_autoencoders.py"


rule search_resolutions:
    """Cluster the embedded heads as published: Leiden at random resolutions, the first maximum of F, and its chance."""
    input:
        embeddings="<results>/phrenology/embeddings_published.parquet",
    output:
        resolutions="<results>/phrenology/resolutions.parquet",
        edges="<results>/phrenology/edges_published.parquet",
        clusters="<results>/phrenology/clusters.parquet",
    params:
        spec=spec("search_resolutions", **study_settings("phrenology", "search", "seed")),
    script:
        "../scripts/search_resolutions.py"


rule find_kinds:
    """Find kinds of heads by the longest plateau of the resolution, and ask whether there are any or a continuum."""
    input:
        distances="<results>/phrenology/distances.parquet",
    output:
        **tables("phrenology", "kinds", "plateaus", "continua"),
        edges="<results>/phrenology/edges_corrected.parquet",
    params:
        spec=spec("find_kinds", **study_settings("phrenology", "kinds", "seed")),
    script:
        "../scripts/find_kinds.py"


rule match_partners:
    """Match the heads of all members at once, one of each in every group: whose counterpart each head is."""
    input:
        distances="<results>/phrenology/distances.parquet",
        parts="<results>/phrenology/distance_parts.parquet",
    output:
        partners="<results>/phrenology/partners.parquet",
    params:
        spec=spec("match_partners", **study_settings("phrenology", "kinds", "seed")),
    script:
        "../scripts/match_partners.py"


rule measure_stability:
    """Ask of kinds and of partners whether they are found again on other prompts, and without any one member."""
    input:
        **tables("phrenology", "kinds", "partners"),
        parts="<results>/phrenology/distance_parts.parquet",
    output:
        **tables("phrenology", "stability", "agreement", "consensus"),
    params:
        spec=spec("measure_stability", **study_settings("phrenology", "kinds", "seed")),
    script:
        "../scripts/measure_stability.py"


rule name_groups:
    """Name kinds and partners by what their heads do beyond chance; a card of every head, and what was found in words."""
    input:
        **tables("phrenology", "kinds", "partners", "plateaus", "stability", "agreement", "clusters"),
        scores=of_models("phrenology", "<results>/scores/{model}.parquet"),
        judged=judged(*models_of("phrenology")),
    output:
        names="<results>/phrenology/names.parquet",
        cards="<results>/phrenology/head_cards.parquet",
        csv=reported("<results>/phrenology/head_cards.csv"),
        findings="<results>/phrenology/kinds.md",
    params:
        spec=spec("name_groups", models=models_of("phrenology")),
    script:
        "../scripts/name_groups.py"


rule place_heads:
    """Lay the heads out on a plane: published embeddings by UMAP, both graphs by their edges."""
    input:
        embeddings="<results>/phrenology/embeddings_published.parquet",
        kinds="<results>/phrenology/kinds.parquet",
        published_edges="<results>/phrenology/edges_published.parquet",
        corrected_edges="<results>/phrenology/edges_corrected.parquet",
    output:
        places="<results>/phrenology/places.parquet",
    params:
        spec=spec("place_heads", **study_settings("phrenology", "seed")),
    script:
        "../scripts/place_heads.py"
