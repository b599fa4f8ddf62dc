# What every rule has and none needs to say: a log called after it and its wildcards, the conda environment, memory and
# minutes. Whoever says one of them, in a rule, in a profile's set-resources or in a workflow that has this one as a
# module, has it as it is said there.
for each in workflow.rules:
    if each.script and each.module_globals is globals():
        by_rule.complete(each, config, workflow, ROOT)
