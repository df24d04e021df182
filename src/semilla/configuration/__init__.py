"""Every setting: its schema, where its value comes from, and its earlier names.

The path of a setting from the command line to the training:

1. ``schema``: a field of ``PipelineConfiguration`` declares its range, default and help.
2. ``flags``: each field becomes a flag; ``load_arguments`` collects what the user gave.
3. ``loading``: ``load_configuration`` merges flags, environment and file, and validates the result.
4. ``semilla.pipeline.main_job``: ``run_pipeline`` hands the configuration, unchanged, to each phase.
"""
