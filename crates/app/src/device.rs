//! Where tensors live.
//!
//! The CPU is always there. CUDA and wgpu (Vulkan, Metal, DirectX) are cargo features, because each adds minutes to the
//! build: `cargo run --release --features cuda --bin train_tabular_mlp`.

use burn::tensor::Device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::console::Console;
use crate::exit::Mistake;

/// The `device:` key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    /// The best that this build has and this machine offers: CUDA, then wgpu, then the CPU.
    Auto,
    /// The CPU (burn's flex backend).
    Cpu,
    /// The first NVIDIA GPU; needs a build with `--features cuda`.
    Cuda,
    /// The best GPU that Vulkan, Metal or DirectX finds; needs a build with `--features wgpu`.
    Wgpu,
}

impl DeviceKind {
    /// Opens the device. Errors if this build or this machine lacks the one that was asked for by name.
    pub fn open(self, console: &Console) -> Result<Device, Mistake> {
        match self {
            Self::Cpu => Ok(Device::flex()),
            Self::Cuda => first(cuda_devices(), "cuda", "an NVIDIA GPU with its driver"),
            Self::Wgpu => first(wgpu_devices(), "wgpu", "a GPU with a Vulkan, Metal or DirectX 12 driver"),
            Self::Auto => {
                let accelerators = cuda_devices().into_iter().chain(wgpu_devices()).flatten();
                let device = accelerators.into_iter().next().unwrap_or_else(Device::flex);
                if device != Device::flex() {
                    console.note(&format!("`device: auto` took {device:?}"));
                }
                Ok(device)
            }
        }
    }
}

/// The first device found; `None` stands for a build that cannot look for any.
fn first(found: Option<Vec<Device>>, name: &str, needed: &str) -> Result<Device, Mistake> {
    let Some(found) = found else {
        return Err(Mistake::new(format!("`device: {name}`: this build has no support for it")).hint(format!(
            "build with the cargo feature: `cargo run --features {name} --bin train_tabular_mlp`; or choose `auto`"
        )));
    };
    let missing =
        || Mistake::new(format!("`device: {name}`: no such device on this machine")).hint(format!("it takes {needed}"));
    found.into_iter().next().ok_or_else(missing)
}

#[cfg(feature = "cuda")]
fn cuda_devices() -> Option<Vec<Device>> {
    Some(Device::enumerate(burn::tensor::DeviceType::Cuda).into_vec())
}

#[cfg(not(feature = "cuda"))]
fn cuda_devices() -> Option<Vec<Device>> {
    None
}

#[cfg(feature = "wgpu")]
fn wgpu_devices() -> Option<Vec<Device>> {
    Some(Device::enumerate(burn::tensor::DeviceType::Wgpu).into_vec())
}

#[cfg(not(feature = "wgpu"))]
fn wgpu_devices() -> Option<Vec<Device>> {
    None
}
