//! The control plane of a starting server, or its stand-in where none was built.

use std::sync::Arc;

use socket2::Socket;

use super::ServerHandle;
use crate::config::{Config, Endpoint, Steer};
use crate::error::StartError;
use crate::handover::AdminHandOver;
#[cfg(feature = "control")]
use crate::listeners::stands_at;
use crate::metrics::ShardMetrics;
use crate::plane::ResolvedDriver;

#[cfg(feature = "control")]
pub(super) type Control = Option<crate::control::ControlHandle>;
#[cfg(not(feature = "control"))]
pub(super) type Control = NoControl;

/// Stands where the control plane would.
#[cfg(not(feature = "control"))]
pub(super) struct NoControl;

/// Makes everything of the control plane, which does not accept yet.
#[cfg(feature = "control")]
pub(super) fn start_control(
    config: &Config,
    inherited: Option<Socket>,
    driver: ResolvedDriver,
    steer: Steer,
    endpoints: &[Endpoint],
    metrics: &[Arc<ShardMetrics>],
    handle: &ServerHandle,
) -> Result<Control, StartError> {
    use crate::control::{ServerInfo, ServerView, bind, prepare};

    let Some(address) = config.admin else {
        return Ok(None);
    };
    let info = ServerInfo {
        version: env!("CARGO_PKG_VERSION"),
        driver: driver.as_str().to_owned(),
        steer,
        shards: config.shards,
        endpoints: endpoints.iter().map(|endpoint| endpoint.address).collect(),
        started: std::time::Instant::now(),
    };
    let lifecycle = Arc::clone(&handle.lifecycle);
    let view = ServerView {
        shards: metrics.to_vec(),
        lifecycle,
        info,
    };
    let inherited = inherited.filter(|socket| stands_at(socket, address));
    let listener = match inherited {
        Some(socket) => socket.into(),
        None => bind(address).map_err(StartError::Admin)?,
    };
    prepare(listener, view).map(Some).map_err(StartError::Admin)
}

/// Checks that a control plane could be made, whose address another server of ours may
/// have now.
#[cfg(feature = "control")]
pub(super) fn check_control(config: &Config) -> Result<(), StartError> {
    let Some(address) = config.admin else {
        return Ok(());
    };
    match crate::control::bind(address) {
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            tracing::warn!("{error}; this is right if it is the server that is to be replaced");
            Ok(())
        }
        bound => bound.map(drop).map_err(StartError::Admin),
    }
}

/// Lets the control plane accept, and returns what a hand-over needs of it.
#[cfg(feature = "control")]
pub(super) fn begin_control(control: &mut Control) -> Option<AdminHandOver> {
    let control = control.as_mut()?;
    control.begin();
    Some(AdminHandOver {
        listener: control.take_listener()?.into(),
        retire: control.retirement(),
    })
}

#[cfg(not(feature = "control"))]
pub(super) fn start_control(
    config: &Config,
    _: Option<Socket>,
    _: ResolvedDriver,
    _: Steer,
    _: &[Endpoint],
    _: &[Arc<ShardMetrics>],
    _: &ServerHandle,
) -> Result<Control, StartError> {
    match config.admin {
        None => Ok(NoControl),
        Some(_) => Err(no_control()),
    }
}

#[cfg(not(feature = "control"))]
fn no_control() -> StartError {
    StartError::Admin(std::io::Error::new(
        std::io::ErrorKind::Unsupported,
        "corecast was built without the feature 'control'; build it with that feature, or set \
         --admin off",
    ))
}

#[cfg(not(feature = "control"))]
pub(super) fn check_control(config: &Config) -> Result<(), StartError> {
    match config.admin {
        None => Ok(()),
        Some(_) => Err(no_control()),
    }
}

#[cfg(not(feature = "control"))]
pub(super) fn begin_control(_: &mut Control) -> Option<AdminHandOver> {
    None
}
