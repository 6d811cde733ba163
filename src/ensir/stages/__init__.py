"""Stages: what each rule of the workflow does, one module each, named as the rule and its script."""
