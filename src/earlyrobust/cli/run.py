"""`earlyrobust run`: the main job."""

from __future__ import annotations

from earlyrobust.cli import options as o


def run(
    config: o.Config = None,
    output: o.Output = None,
    task: o.Task = None,
    data_dir: o.DataDir = None,
    train_samples: o.TrainSamples = None,
    train_file: o.TrainFile = None,
    test_file: o.TestFile = None,
    text_column: o.TextColumn = None,
    pair_column: o.PairColumn = None,
    label_column: o.LabelColumn = None,
    max_length: o.MaxLength = None,
    model: o.Model = None,
    epochs: o.Epochs = None,
    batch_size: o.BatchSize = None,
    learning_rate: o.LearningRate = None,
    bf16: o.Bf16 = None,
    seed: o.Seed = None,
    heads: o.Heads = None,
    neurons: o.Neurons = None,
    gamma: o.Gamma = None,
    patience: o.Patience = None,
    miniepoch: o.Miniepoch = None,
    miniepoch_min_steps: o.MiniepochMinSteps = None,
    search_epochs: o.SearchEpochs = None,
    head_penalty: o.HeadPenalty = None,
    neuron_penalty: o.NeuronPenalty = None,
    adversary_steps: o.AdversarySteps = None,
    adversary_step_size: o.AdversaryStepSize = None,
    adversary_magnitude: o.AdversaryMagnitude = None,
) -> None:
    """Search a robust ticket, cut the encoder, fine-tune it, and compare it with the dense one.

    Without options it runs on the embedded encoder and the built-in corpus. The same command continues an
    interrupted run.
    """
    flags = {name: value for name, value in locals().items() if name != "config"}
    from earlyrobust.cli.display import Display
    from earlyrobust.pipeline.config import RunConfig

    resolved = RunConfig.build(flags, config)
    with Display(resolved.output_folder) as display:
        from earlyrobust import pipeline
        from earlyrobust.reports.plots import draw_pictures

        record = pipeline.run(resolved, display)
        draw_pictures(record, resolved.output_folder)
        display.summarise(record)
