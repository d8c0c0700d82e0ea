//! Reads the certificates of a PEM file in the same way as OpenSSL and most servers. OpenSSL accepts more labels and
//! spellings than [RFC 7468](https://www.rfc-editor.org/rfc/rfc7468) allows. A section that cannot be read is an error,
//! because it may contain the certificate that a server presents.

use tokio_rustls::rustls::pki_types::{CertificateDer, pem::PemObject as _};
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _};

const DASHES: &str = "-----";
const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";

/// The labels of certificates. In a section with the last label, additions of OpenSSL follow the certificate.
const CERTIFICATES: [&str; 3] = ["CERTIFICATE", "X509 CERTIFICATE", TRUSTED];
const TRUSTED: &str = "TRUSTED CERTIFICATE";

/// The endings of the labels of other sections that a file may contain. They are skipped.
const OTHERS: [&str; 6] =
    ["PRIVATE KEY", "PUBLIC KEY", "PARAMETERS", "CERTIFICATE REQUEST", "X509 CRL", "ATTRIBUTE CERTIFICATE"];

/// Returns the certificates of a file in their order.
///
/// # Errors
///
/// Returns an error if a section is broken, cannot be read, or may contain certificates in another form.
pub(super) fn certificates(file: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = String::from_utf8_lossy(file);
    let mut certificates = Vec::new();
    let mut rest = &*text;
    for number in 1.. {
        let Some(begin) = rest.find(BEGIN) else { break };
        outside(&rest[..begin], number)?;
        let broken = |what: &str| format!("section {number} of the file {what}");
        rest = &rest[begin + BEGIN.len()..];
        let label_ends = rest.find(DASHES).ok_or_else(|| broken("has a broken first line"))?;
        let label = rest[..label_ends].trim();
        if label.contains(['\n', '\r']) {
            return Err(broken("has a broken first line"));
        }
        rest = &rest[label_ends + DASHES.len()..];
        let body_ends = rest.find(DASHES).ok_or_else(|| broken("has no last line"))?;
        let body = &rest[..body_ends];
        rest = rest[body_ends..]
            .strip_prefix(END)
            .and_then(|rest| rest.strip_prefix(label))
            .and_then(|rest| rest.strip_prefix(DASHES))
            .ok_or_else(|| broken(&format!("begins with the label {label:?} and does not end with it")))?;
        if CERTIFICATES.contains(&label) {
            let der = decode(body).map_err(|error| broken(&format!("is not a certificate: {error}")))?;
            certificates.push(if label == TRUSTED { without_additions(der) } else { der });
        } else if !OTHERS.iter().any(|other| label.ends_with(other)) {
            return Err(broken(&format!("has the unsupported label {label:?}: convert it into {:?}", CERTIFICATES[0])));
        }
    }
    outside(rest, certificates.len() + 1)?;
    Ok(certificates)
}

/// Checks the text between sections. It may be any text except a fragment of a section.
fn outside(text: &str, number: usize) -> Result<(), String> {
    let is_piece = |line: &str| {
        let line = line.to_ascii_uppercase();
        line.contains("--") && (line.contains("BEGIN ") || line.contains("END ")) && line.contains("CERTIFICATE")
    };
    if text.contains(END) || text.lines().any(is_piece) {
        return Err(format!("section {number} of the file has a broken first line"));
    }
    Ok(())
}

fn decode(body: &str) -> Result<CertificateDer<'static>, String> {
    let base64: String = body.split_whitespace().collect();
    if base64.is_empty() {
        return Err("it is empty".to_owned());
    }
    let framed = format!("{BEGIN}CERTIFICATE{DASHES}\n{base64}\n{END}CERTIFICATE{DASHES}\n");
    CertificateDer::from_pem_slice(framed.as_bytes()).map_err(|error| error.to_string())
}

/// Removes the additions after the certificate, because a verifier accepts only the certificate.
fn without_additions(der: CertificateDer<'static>) -> CertificateDer<'static> {
    match X509Certificate::from_der(&der) {
        Ok((additions, _)) => CertificateDer::from(der[..der.len() - additions.len()].to_vec()),
        Err(_) => der,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "-----BEGIN CERTIFICATE-----\nAAECAw==\n-----END CERTIFICATE-----";

    fn count(text: &str) -> Result<usize, String> {
        certificates(text.as_bytes()).map(|certificates| certificates.len())
    }

    #[test]
    fn every_spelling_that_servers_accept_is_read() {
        for (text, expected) in [
            (String::new(), 0),
            (ONE.to_owned(), 1),
            (format!("{ONE}{ONE}"), 2),
            (format!("\u{feff}{ONE}\r\n{ONE}"), 2),
            (format!("  {}", ONE.replace('\n', "\r\n   ")), 1),
            (ONE.replace("CERTIFICATE", "X509 CERTIFICATE"), 1),
            (ONE.replace("CERTIFICATE", "TRUSTED CERTIFICATE"), 1),
            (format!("subject: CN = orders\n{ONE}\n# Begin certificate chain\n{ONE}\n"), 2),
            (format!("{}\n{ONE}", ONE.replace("CERTIFICATE", "EC PRIVATE KEY")), 1),
            (format!("{}\n{ONE}", ONE.replace("CERTIFICATE", "DH PARAMETERS")), 1),
            (ONE.replace("AAECAw==", "AA\nEC\n\nAw\t=="), 1),
        ] {
            assert_eq!(count(&text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_section_that_cannot_be_read_is_an_error() {
        for (text, expected) in [
            (ONE.replace("AAECAw==", "AAE?"), "section 1 of the file is not a certificate"),
            (ONE.replace("AAECAw==\n", ""), "section 1 of the file is not a certificate: it is empty"),
            (ONE.replace("-----END CERTIFICATE-----", ""), "section 1 of the file has no last line"),
            (format!("{}\n{ONE}", ONE.replace("-----END CERTIFICATE-----", "")), "and does not end with it"),
            (ONE.replace("END CERTIFICATE", "END X509 CERTIFICATE"), "and does not end with it"),
            (
                format!("{ONE}\n{}", ONE.replace("CERTIFICATE", "PKCS7")),
                "section 2 of the file has the unsupported label \"PKCS7\"",
            ),
            (ONE.replace("-----BEGIN", "----BEGIN"), "section 1 of the file has a broken first line"),
            (
                ONE.replace("BEGIN CERTIFICATE-----", "BEGIN CERTIFICATE"),
                "section 1 of the file has a broken first line",
            ),
            (format!("{ONE}\n{}", ONE.to_ascii_lowercase()), "section 2 of the file has a broken first line"),
        ] {
            let error = count(&text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
