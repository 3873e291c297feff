//! The demo's platform, for the commands of a page.

use std::path::Path;

use base64::Engine as _;
use postrider::demo::configuration;
use postrider::demo::platform::misbehaviour::Faults;
use postrider::demo::platform::{Platform, Setup};
use rcgen::PublicKeyData as _;

/// A platform that runs, and its configuration as `postrider.yaml` in a directory.
pub(super) struct Laboratory {
    runtime: tokio::runtime::Runtime,
    platform: Option<Platform>,
}

impl Laboratory {
    pub(super) fn start(directory: &Path, faults: Faults) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let public = base64::engine::general_purpose::STANDARD.encode(key.der_bytes());
        let mut setup = Setup::new(postrider::clock::now()).with_faults(faults);
        setup.publish_sender_txt(
            "demo._domainkey",
            &format!("v=DKIM1; k=ed25519; p={public}"),
        );
        let platform = runtime.block_on(Platform::start(setup)).unwrap();
        configuration::write(&platform, &key.serialize_pem(), directory).unwrap();
        Self {
            runtime,
            platform: Some(platform),
        }
    }
}

impl Drop for Laboratory {
    fn drop(&mut self) {
        if let Some(platform) = self.platform.take() {
            self.runtime.block_on(platform.shutdown());
        }
    }
}
