//! Where tensors live.
//!
//! The CPU is always there. CUDA and wgpu (Vulkan, Metal, DirectX) are cargo features, because each adds minutes to the
//! build: `cargo run --release --features cuda --bin train_tabular_mlp`.

use burn::tensor::Device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::console::Console;
use crate::environment;
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
    /// Says what is wrong with the value, as `(key, reason)`: that this build lacks the device asked for by name.
    pub fn check(self) -> Result<(), (&'static str, String)> {
        let (name, is_built) = match self {
            Self::Auto | Self::Cpu => return Ok(()),
            Self::Cuda => ("cuda", cfg!(feature = "cuda")),
            Self::Wgpu => ("wgpu", cfg!(feature = "wgpu")),
        };
        let how = format!(
            "build it in with `cargo run --features {name} --bin {}`, or choose `auto`",
            environment::program()
        );
        if is_built { Ok(()) } else { Err(("device", format!("this build has no support for `{name}`; {how}"))) }
    }

    /// Opens the device. Errors if this machine lacks the one that was asked for by name.
    pub fn open(self, console: &Console) -> Result<Device, Mistake> {
        match self {
            Self::Cpu => Ok(Device::flex()),
            Self::Cuda => first(cuda_devices(), "cuda", "an NVIDIA GPU with its driver"),
            Self::Wgpu => first(wgpu_devices(), "wgpu", "a GPU with a Vulkan, Metal or DirectX 12 driver"),
            Self::Auto => {
                let mut accelerators = cuda_devices().into_iter().chain(wgpu_devices());
                let device = accelerators.next().unwrap_or_else(Device::flex);
                if device != Device::flex() {
                    console.note(&format!("`device: auto` took {device:?}"));
                }
                Ok(device)
            }
        }
    }
}

/// Multiplications of a matrix product from which a second thread pays: with 224 rows, 336 inputs and 96 outputs a training step
/// takes a fifth longer on two threads than on one.
const WORTH_SHARING: usize = 1 << 23;

/// Limits the threads of everything that runs on the CPU; `None` leaves one per core. For the whole process, before the first
/// tensor. The number of threads changes the speed of a training, not one bit of its result.
pub fn use_threads(threads: Option<usize>) -> anyhow::Result<()> {
    gemm::set_threading_threshold(WORTH_SHARING);
    match threads {
        None => Ok(()),
        Some(threads) => Ok(rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?),
    }
}

/// Makes glibc's allocator keep the memory that a training step frees, for the next step. At first it gives each large block
/// back to the system and asks for it anew, a page fault for every 4 KiB; the first large block that is freed raises the
/// size from which it does so, and the most that it knows of is 32 MiB. Elsewhere this does nothing.
pub fn keep_freed_memory() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity((32 << 20) - 8192)));
}

fn first(found: Vec<Device>, name: &str, needed: &str) -> Result<Device, Mistake> {
    let missing = || Mistake::new(format!("`device: {name}`: no such device on this machine"));
    found.into_iter().next().ok_or_else(|| missing().hint(format!("it takes {needed}")))
}

#[cfg(feature = "cuda")]
fn cuda_devices() -> Vec<Device> {
    Device::enumerate(burn::tensor::DeviceType::Cuda).into_vec()
}

#[cfg(not(feature = "cuda"))]
fn cuda_devices() -> Vec<Device> {
    Vec::new()
}

#[cfg(feature = "wgpu")]
fn wgpu_devices() -> Vec<Device> {
    Device::enumerate(burn::tensor::DeviceType::Wgpu).into_vec()
}

#[cfg(not(feature = "wgpu"))]
fn wgpu_devices() -> Vec<Device> {
    Vec::new()
}
