//! The pass on a worker against the pass here. The worker is a thread of this process.
#![cfg(all(feature = "remote", feature = "flex"))]

use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use burn::server::{RemoteServer, WebSocketTransport};
use burn::tensor::{DType, Device, Tensor};
use pudle_core::{
    Algorithm, Backend, Configured, ConvDictionary1d, ConvDictionary2d, DenseDictionary,
    GradientEstimator, Kernels, Noise, Proximal, PudleConfig, WeightTying, WorkerAddress,
    WorkerError, serve,
};

use crate::common::{conv1d, conv2d, dense, relative_error};
use crate::results::{IMAGES, images, learned, network, results};

const PATIENCE: Duration = Duration::from_secs(20);

/// A worker of this process, for as long as that runs.
fn worker(token: &'static str) -> WorkerAddress {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let place: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let ready = move |address, _| sender.send(address).unwrap();
        serve(place, token, Backend::Flex, ready).map_err(|error| error.to_string())
    });
    let address: SocketAddr = receiver.recv().unwrap();
    WorkerAddress { url: format!("ws://{address}"), token: token.to_owned() }
}

fn agree<const D: usize, A: Configured<D>>(
    name: &str,
    device: &Device,
    config: PudleConfig,
    extent: [usize; D],
    noise: &Noise,
) {
    let config = config.with_kernels(Kernels::Fused);
    let expected = results::<D, A>(&config, &Device::flex(), extent, noise, DType::F32);
    let found = results::<D, A>(&config, device, extent, noise, DType::F32);
    for ((what, found), (_, expected)) in found.iter().zip(&expected) {
        assert_eq!(found.len(), expected.len(), "{name}, {what}");
        let off = if expected.is_empty() { 0.0 } else { relative_error(found, expected) };
        assert!(off < 1e-5, "{name}, {what}: {off:e}");
    }
}

#[test]
fn a_worker_finds_the_same_numbers() {
    let device = worker("").connect(PATIENCE).unwrap().remove(0);
    let none = &Noise::Unknown;
    for estimator in ["dec", "ae-lasso", "ae-ls", "truncated:2"] {
        let estimator: GradientEstimator = estimator.parse().unwrap();
        let config = images(5).with_gradient(estimator);
        agree::<4, ConvDictionary2d>(&estimator.to_string(), &device, config, IMAGES, none);
    }
    let noise = Noise::PerDatum(vec![10.0, 25.0, 40.0]);
    for tying in [WeightTying::Gain, WeightTying::Decoder, WeightTying::Untied] {
        let config = images(4).with_tying(tying).with_learned_step(0.1).with_offset(0.2);
        agree::<4, ConvDictionary2d>(&tying.to_string(), &device, config, IMAGES, &noise);
    }
    let config = images(4).with_prox(Proximal::Relu).with_algorithm(Algorithm::Fista);
    let config = config.with_recompute(true).with_threshold(learned(true, Some(25.0)));
    agree::<4, ConvDictionary2d>("relu, fista", &device, config, IMAGES, &noise);
    agree::<2, DenseDictionary>("matrix", &device, network(dense(20, 37), 5), [5, 20], none);
    let config = network(conv1d(5, 1, 9, 4), 4);
    agree::<3, ConvDictionary1d>("signals", &device, config, [2, 1, 103], none);
}

#[test]
fn a_worker_outlives_a_client_that_sends_nonsense() {
    let address = worker("");
    let device = address.connect(PATIENCE).unwrap().remove(0);
    // Numbers arrive and leave.
    let numbers = Tensor::<1>::from_floats([1.0, 2.0], &device) * 3.0;
    assert_eq!(numbers.into_data().iter::<f64>().collect::<Vec<_>>(), [3.0, 6.0]);
    // A garbled message ends its own connection.
    let place = address.url.strip_prefix("ws://").unwrap();
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 200]] {
        use std::io::Write;
        let mut client = std::net::TcpStream::connect(place).unwrap();
        client.write_all(bytes).unwrap();
    }
    let config = network(conv2d(6, 1, 5, 2), 3);
    agree::<4, ConvDictionary2d>("after", &device, config, [2, 1, 21, 17], &Noise::Unknown);
}

#[test]
fn tokens_and_versions_are_told_apart() {
    let address = worker("secret");
    assert!(address.connect(PATIENCE).is_ok());
    for token in ["", "secre", "secret2"] {
        let stranger = WorkerAddress { token: token.into(), ..address.clone() };
        let error = stranger.connect(PATIENCE).unwrap_err();
        assert_eq!(error, WorkerError::Token(address.url.clone()), "{token:?}");
    }
    // A worker of another version refuses whatever this one shows.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let refuse = |_: burn::server::AuthorizationRequest<'_>| Err("another version".to_owned());
    thread::spawn(move || {
        let server = RemoteServer::new([Device::flex()]).with_authorizer(refuse);
        server.serve(WebSocketTransport::from_listener(listener)).map_err(|error| error.to_string())
    });
    let error = WorkerAddress { url, token: "secret".into() }.connect(PATIENCE).unwrap_err();
    assert!(matches!(error, WorkerError::Version { .. }), "{error}");
}
