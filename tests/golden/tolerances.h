// The one table of how far we may be from the reference frameworks. README.md says where each
// figure comes from; a test names its row, never a number of its own.
#pragma once

namespace dermlens::golden {

// Largest absolute difference over the largest absolute reference value.
inline constexpr double kActivation = 1e-4;
inline constexpr double kLogits = 1e-4;
inline constexpr double kCamGrid = 3e-4;  // grids have maximum 1

// Relative L2 error of a gradient: ||ours - reference|| / ||reference||.
inline constexpr double kGradientSmooth = 1e-3;
inline constexpr double kGradientKinks = 5e-2;

// Gradient rules against central finite differences in fp64, away from kinks.
inline constexpr double kFiniteDifference = 1e-5;

// A quantized activation that lies at the middle between two steps falls to either side.
inline constexpr double kQuantized = 2e-2;

// Weights and activations of bf16, where the CPU computes in it (docs/adr/0008): eight bits of
// mantissa, and each layer rounds again. PyTorch's reference computes the same stored weights in
// fp32; without bf16 arithmetic so do we, and the rows above hold.
inline constexpr double kBf16 = 2e-2;
inline constexpr double kBf16CamGrid = 5e-2;

// The logits of two pictures differ at least so much, relative to the largest: an engine that
// prints zeros must not pass.
inline constexpr double kLogitSpread = 5e-2;

}  // namespace dermlens::golden
