//! Whether this machine finds `*.localhost`.

use std::net::ToSocketAddrs;

/// What to do where the name leads nowhere: glibc alone doesn't resolve names under `localhost`.
pub(super) fn hint(host: &str) -> Option<String> {
    let found =
        (host, 443).to_socket_addrs().is_ok_and(|mut addresses| addresses.any(|address| address.ip().is_loopback()));
    (!found).then(|| {
        format!(
            "this machine doesn't resolve {host} yet, so clients other than browsers won't find the vault. One of these helps:\n\
             \x20 apt-get install libnss-myhostname          # Debian, Ubuntu: every name under localhost\n\
             \x20 echo '127.0.0.1 {host}' >> /etc/hosts      # anywhere: this name"
        )
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_name_that_leads_nowhere_gets_both_remedies() {
        let hint = super::hint("no-such-name.invalid").expect("it leads nowhere");
        assert!(hint.contains("libnss-myhostname") && hint.contains("127.0.0.1 no-such-name.invalid"));
        assert_eq!(super::hint("localhost"), None);
    }
}
