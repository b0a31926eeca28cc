//! A request over TLS, by rustls. Nobody's certificate is verified: the program runs on this machine, its socket is
//! looked up in the kernel's tables, and what it answers is not secret.

use super::check::Answer;
use super::conversation::Bounded;

#[cfg(feature = "tls")]
pub(super) use with_rustls::connect;

/// Without the feature `tls`, nothing can be asked over TLS.
#[cfg(not(feature = "tls"))]
pub(super) fn connect<'ask>(_stream: Bounded<'ask>, _server: &str) -> Result<Bounded<'ask>, Answer> {
    Err(Answer::other("cannot be asked over TLS: this `tenure` was built without its feature `tls`"))
}

#[cfg(feature = "tls")]
mod with_rustls {
    use std::io::{self, Read, Write};
    use std::sync::Arc;

    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::crypto::CryptoProvider;
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};

    use super::super::check::AnswerKind;
    use super::super::conversation::Conversation;
    use super::{Answer, Bounded};

    /// A conversation over TLS.
    pub(in crate::host::readiness) struct OverTls<'ask>(StreamOwned<ClientConnection, Bounded<'ask>>);

    /// Begins one; the handshake comes with the first write. `server` is a name or an address.
    pub(in crate::host::readiness) fn connect<'ask>(
        stream: Bounded<'ask>,
        server: &str,
    ) -> Result<OverTls<'ask>, Answer> {
        let failed = |error: rustls::Error| Answer::other(format!("cannot be asked over TLS: {error}"));
        let server = ServerName::try_from(server.to_owned())
            .map_err(|error| Answer::other(format!("cannot be asked over TLS as {server:?}: {error}")))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(failed)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
            .with_no_client_auth();
        let client = ClientConnection::new(Arc::new(config), server).map_err(failed)?;
        Ok(OverTls(StreamOwned::new(client, stream)))
    }

    impl Read for OverTls<'_> {
        fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
            self.0.read(bytes)
        }
    }

    impl Write for OverTls<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            self.0.flush()
        }
    }

    impl Conversation for OverTls<'_> {
        fn answer(&self, error: io::Error) -> Answer {
            let of_tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
            match of_tls {
                Some(rustls::Error::InvalidMessage(_)) => {
                    Answer::new(AnswerKind::Plain, "was answered in plain text, and not in TLS")
                }
                Some(refused) => Answer::other(format!("failed over TLS: {refused}")),
                None => self.0.sock.answer(error),
            }
        }
    }

    /// Takes every certificate.
    #[derive(Debug)]
    struct AnyCertificate(Arc<CryptoProvider>);

    impl ServerCertVerifier for AnyCertificate {
        fn verify_server_cert(
            &self,
            _end_entity: &CertificateDer<'_>,
            _intermediates: &[CertificateDer<'_>],
            _server_name: &ServerName<'_>,
            _ocsp_response: &[u8],
            _now: UnixTime,
        ) -> Result<ServerCertVerified, rustls::Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            _message: &[u8],
            _certificate: &CertificateDer<'_>,
            _signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn verify_tls13_signature(
            &self,
            _message: &[u8],
            _certificate: &CertificateDer<'_>,
            _signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.0.signature_verification_algorithms.supported_schemes()
        }
    }
}
