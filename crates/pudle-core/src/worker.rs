//! Devices of other machines, which `pudle worker` serves through Burn's remote backend.
//!
//! A client shows a credential: the version of the messages and a token. The worker compares both before it tells anything. A
//! client that is refused asks once more for a device that no worker has: whether it is refused again tells if the version or the
//! token is the reason.

use std::net::SocketAddr;
#[cfg(feature = "remote")]
use std::net::TcpListener;
use std::time::Duration;

use burn::tensor::Device;
use thiserror::Error;

use crate::backend::Backend;

/// A worker that cannot be used or started.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum WorkerError {
    /// Workers are not compiled into this program.
    #[error("workers are not compiled in: build with the cargo feature \"remote\"")]
    NotCompiled,
    /// The worker cannot be reached, or the connection breaks off.
    #[error("{address}: {reason}")]
    Unreachable {
        /// Its address.
        address: String,
        /// Why.
        reason: String,
    },
    /// The token is not that of the worker.
    #[error("{0}: the token is not that of this worker")]
    Token(String),
    /// The worker is of another version.
    #[error(
        "{address}: this worker is another version of pudle or of Burn; this is pudle {version}"
    )]
    Version {
        /// Its address.
        address: String,
        /// The version of this program.
        version: &'static str,
    },
    /// An address that other machines reach has no token.
    #[error(
        "{0}: other machines reach this address, so a token is needed; without one, a worker serves 127.0.0.1 only"
    )]
    Open(SocketAddr),
    /// The backend has no pass for clients.
    #[error("backend \"{0}\" has no fused pass for clients; flex, wgpu and cuda have one")]
    Backend(Backend),
}

/// A worker, as a client reaches it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerAddress {
    /// `ws://host:port`.
    pub url: String,
    /// The worker's token, empty if it has none.
    pub token: String,
}

/// The version of the messages. Builds of other versions refuse each other.
#[cfg(feature = "remote")]
const MESSAGES: &str = concat!("pudle-", env!("CARGO_PKG_VERSION"), "-2");

/// A device that no worker has.
#[cfg(feature = "remote")]
const NO_DEVICE: u32 = u32::MAX;

impl WorkerAddress {
    /// Connects to all devices of the worker, within `patience`.
    ///
    /// # Errors
    /// Returns an error if the worker does not answer, or refuses this client.
    #[cfg(feature = "remote")]
    pub fn connect(&self, patience: Duration) -> Result<Vec<Device>, WorkerError> {
        use burn::remote::ConnectError;
        let version = || WorkerError::Version {
            address: self.url.clone(),
            version: env!("CARGO_PKG_VERSION"),
        };
        let unreachable = |reason: String| {
            let reason = reason.replace('\n', " ");
            WorkerError::Unreachable { address: self.url.clone(), reason }
        };
        let host = self.host(&format!("{MESSAGES}:{}", self.token));
        match within(patience, move || host.devices()) {
            None => Err(unreachable(format!("no answer in {} s", patience.as_secs()))),
            Some(Ok(devices)) => Ok(devices.into_vec()),
            Some(Err(ConnectError::Unauthorized)) => {
                let host = self.host(MESSAGES);
                let probe =
                    move || Device::remote_options(&host).device_index(NO_DEVICE as usize).init();
                match within(patience, probe) {
                    Some(Err(ConnectError::NoSuchDevice { .. })) => {
                        Err(WorkerError::Token(self.url.clone()))
                    }
                    _ => Err(version()),
                }
            }
            Some(Err(ConnectError::IncompatibleProtocol { .. })) => Err(version()),
            Some(Err(error)) => Err(unreachable(error.to_string())),
        }
    }

    /// As with the feature.
    ///
    /// # Errors
    /// Returns [`WorkerError::NotCompiled`].
    #[cfg(not(feature = "remote"))]
    pub fn connect(&self, _: Duration) -> Result<Vec<Device>, WorkerError> {
        Err(WorkerError::NotCompiled)
    }

    #[cfg(feature = "remote")]
    fn host(&self, credential: &str) -> burn::remote::RemoteHost {
        burn::remote::RemoteHost::websocket(&self.url).with_credential(credential)
    }
}

/// The result of `work` if it is there in time. Otherwise its thread is left alone.
#[cfg(feature = "remote")]
fn within<T: Send + 'static>(
    patience: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let _ = sender.send(work());
    });
    receiver.recv_timeout(patience).ok()
}

/// Serves all devices of a backend at `address` until the process gets Ctrl-C or SIGTERM. `ready` is called with the address
/// and the number of devices when clients can connect. Port 0 stands for a free one.
///
/// # Errors
/// Returns an error if `address` is not a loopback address and `token` is empty, if it cannot be bound, or if the backend has no
/// devices or no pass for clients.
#[cfg(feature = "remote")]
pub fn serve(
    address: SocketAddr,
    token: &str,
    backend: Backend,
    ready: impl FnOnce(SocketAddr, usize),
) -> Result<(), Box<dyn std::error::Error>> {
    use burn::server::{AuthorizationRequest, RemoteServer, WebSocketTransport};
    check_open(address, token)?;
    if backend == Backend::Ndarray {
        return Err(WorkerError::Backend(backend).into());
    }
    let devices = backend.devices()?;
    let count = devices.len();
    let unreachable = |error: std::io::Error| WorkerError::Unreachable {
        address: address.to_string(),
        reason: error.to_string(),
    };
    let listener = TcpListener::bind(address).map_err(unreachable)?;
    let local = listener.local_addr().map_err(unreachable)?;
    let expected = format!("{MESSAGES}:{token}");
    let authorize = move |request: AuthorizationRequest<'_>| {
        let shown = request.credential.as_bytes();
        if same(shown, expected.as_bytes()) {
            return Ok(());
        }
        // Says that the version fits, and nothing else: no worker has this device.
        if shown == MESSAGES.as_bytes() && request.device_index == NO_DEVICE {
            return Ok(());
        }
        Err(format!("{} shows another token or version", request.client))
    };
    let server = RemoteServer::new(devices).with_authorizer(authorize);
    let server = pudle_kernels::serve_passes(server, backend == Backend::Flex);
    ready(local, count);
    server.serve(WebSocketTransport::from_listener(listener))?;
    Ok(())
}

/// As with the feature.
///
/// # Errors
/// Returns [`WorkerError::NotCompiled`], or the error of an address without a token.
#[cfg(not(feature = "remote"))]
pub fn serve(
    address: SocketAddr,
    token: &str,
    _: Backend,
    _: impl FnOnce(SocketAddr, usize),
) -> Result<(), Box<dyn std::error::Error>> {
    check_open(address, token)?;
    Err(WorkerError::NotCompiled.into())
}

/// An address that other machines reach needs a token.
fn check_open(address: SocketAddr, token: &str) -> Result<(), WorkerError> {
    match token.is_empty() && !address.ip().is_loopback() {
        true => Err(WorkerError::Open(address)),
        false => Ok(()),
    }
}

/// Compares in a time that does not tell how much of the two is the same.
#[cfg(feature = "remote")]
fn same(shown: &[u8], expected: &[u8]) -> bool {
    let differences = shown.iter().zip(expected).fold(0, |sum, (a, b)| sum | (a ^ b));
    shown.len() == expected.len() && differences == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_needs_no_token() {
        for (address, token, fine) in [
            ("127.0.0.1:1", "", true),
            ("[::1]:1", "", true),
            ("0.0.0.0:1", "", false),
            ("192.168.1.2:1", "", false),
            ("0.0.0.0:1", "secret", true),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(check_open(address, token).is_ok(), fine, "{address} {token}");
        }
    }
}
