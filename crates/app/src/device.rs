//! Where tensors live.

use burn::tensor::Device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::console::Console;

/// The `device:` key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    /// The best that this build has: the CPU.
    Auto,
    /// The CPU (burn's flex backend).
    Cpu,
    /// An NVIDIA GPU; this build has no support for it, so the CPU takes its place with a warning.
    Cuda,
}

impl DeviceKind {
    /// Opens the device.
    pub fn open(self, console: &Console) -> Device {
        if self == Self::Cuda {
            console.warn("`device: cuda`: this build has no CUDA; training on the CPU");
        }
        Device::flex()
    }
}
