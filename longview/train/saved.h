// A training on disk: weights as a model that can be read at once, and all else that is needed to go on.
//   OUT/checkpoint-000100/model/              config.json, model.safetensors (f32), tokenizer.json
//   OUT/checkpoint-000100/adapter/            of low-rank adapters, as PEFT reads them
//   OUT/checkpoint-000100/training.safetensors    the optimiser's tensors, states of rows that go on
//   OUT/checkpoint-000100/training.json           step, data position and seeds, curriculum, configuration
#pragma once

#include <filesystem>

#include "longview/train/trainer.h"

namespace longview {

/// Written as a whole or not at all.
void save_training(const std::filesystem::path& folder, const Trainer& trainer, const Json& rest);

/// What a folder written by save_training holds besides the model.
struct SavedTraining {
  Json rest;
  std::map<std::string, Tensor> tensors;
};
/// Throws "[train] ..." with the file's name on what is missing or damaged.
SavedTraining load_training(const std::filesystem::path& folder);

/// "checkpoint-000100" of a training's folder by step, oldest first.
std::map<int64_t, std::filesystem::path> saved_trainings(const std::filesystem::path& out);
std::filesystem::path saved_training_path(const std::filesystem::path& out, int64_t step);

}  // namespace longview
