//! What kind of place an IP address is. Pure: no resolver, no socket, no setting.
//!
//! A provider's URL is chosen by whoever may define a token, so an address that only this machine or its network can
//! reach must not become reachable through us. Whatever isn't plainly a public unicast address is named here, after the
//! IANA special-purpose registries for IPv4 and IPv6 (RFC 6890 and its updates).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What kind of place an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressClass {
    /// A public unicast address. The one class that a provider's address may have without the operator's word.
    Public,
    /// This machine: 127.0.0.0/8, ::1 (RFC 1122, RFC 4291).
    Loopback,
    /// No address at all: 0.0.0.0/8, `::`. Systems take 0.0.0.0 for this machine.
    Unspecified,
    /// Private networks: 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 (RFC 1918), fec0::/10 (RFC 3879).
    Private,
    /// IPv6's private networks: fc00::/7 (RFC 4193).
    UniqueLocal,
    /// A carrier's inner network: 100.64.0.0/10 (RFC 6598).
    CarrierNat,
    /// The network segment: 169.254.0.0/16, fe80::/10 (RFC 3927, RFC 4291).
    LinkLocal,
    /// A group, not a machine: 224.0.0.0/4, ff00::/8.
    Multicast,
    /// All machines of a segment: 255.255.255.255.
    Broadcast,
    /// For printed examples: 192.0.2.0/24, 198.51.100.0/24, 203.0.113.0/24, 2001:db8::/32, 3fff::/20.
    Documentation,
    /// For measurements in a laboratory: 198.18.0.0/15, 2001:2::/48.
    Benchmarking,
    /// Set aside for protocols or for the future: 192.0.0.0/24, 240.0.0.0/4, 2001::/23, all IPv6 outside 2000::/3.
    Reserved,
    /// An IPv4 address in IPv6 clothes that a translator or tunnel takes off again: NAT64 (64:ff9b::/96,
    /// 64:ff9b:1::/48), SIIT (::ffff:0:0:0/96), 6to4 (2002::/16, 192.88.99.0/24), Teredo (2001::/32), ::/96.
    Translated,
    /// Where a cloud hands a machine its own credentials, by value; some of these look public.
    CloudMetadata,
}

impl fmt::Display for AddressClass {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Public => "a public address",
            Self::Loopback => "this machine itself (loopback)",
            Self::Unspecified => "no real address (unspecified)",
            Self::Private => "in a private network",
            Self::UniqueLocal => "in a private network (unique local)",
            Self::CarrierNat => "in a carrier's inner network (100.64.0.0/10)",
            Self::LinkLocal => "on the local network segment (link-local)",
            Self::Multicast => "a multicast group",
            Self::Broadcast => "the broadcast address",
            Self::Documentation => "reserved for examples in documents",
            Self::Benchmarking => "reserved for measurements",
            Self::Reserved => "in a reserved range",
            Self::Translated => "an IPv4 address inside a translated IPv6 one (NAT64, 6to4, Teredo)",
            Self::CloudMetadata => "a cloud's metadata service, which hands out this machine's own credentials",
        })
    }
}

/// Addresses at which clouds serve a machine's own credentials and settings.
const CLOUD_METADATA: [IpAddr; 9] = [
    v4(169, 254, 169, 254),                    // nearly every cloud
    v4(169, 254, 170, 2),                      // Amazon ECS tasks
    v4(169, 254, 170, 23),                     // Amazon EKS pods
    v4(100, 100, 100, 200),                    // Alibaba
    v4(168, 63, 129, 16),                      // Azure's wire server: looks public
    v4(192, 0, 0, 192),                        // Oracle
    v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254]), // Amazon
    v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23]),  // Amazon EKS pods
    v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254]),  // Google
];

/// The address itself: an IPv4-mapped one (`::ffff:a.b.c.d`) is the IPv4 address that a socket connects to.
pub(super) fn unmapped(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// The IPv4 address that a translator or tunnel would finally talk to, where the address names one.
pub(super) fn translated_inner(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(address) = unmapped(address) else {
        return None;
    };
    let [a, b, c, d, e, f, g, h] = address.segments();
    let pair = |high: u16, low: u16| {
        let [[w, x], [y, z]] = [high.to_be_bytes(), low.to_be_bytes()];
        Ipv4Addr::new(w, x, y, z)
    };
    match (a, b, c, d, e, f) {
        (0x64, 0xff9b, 0, 0, 0, 0) | (0, 0, 0, 0, 0xffff, 0) | (0, 0, 0, 0, 0, 0) => Some(pair(g, h)),
        (0x2002, ..) => Some(pair(b, c)),
        // Teredo hides the client's address by inverting its bits (RFC 4380, section 4).
        (0x2001, 0, ..) => Some(pair(!g, !h)),
        _ => None,
    }
}

/// What kind of place the address is. An IPv4-mapped address is what its inner address is.
pub fn classify(address: IpAddr) -> AddressClass {
    let address = unmapped(address);
    if CLOUD_METADATA.contains(&address) {
        return AddressClass::CloudMetadata;
    }
    match address {
        IpAddr::V4(address) => classify_v4(address),
        IpAddr::V6(address) => classify_v6(address),
    }
}

fn classify_v4(address: Ipv4Addr) -> AddressClass {
    match address.octets() {
        [0, ..] => AddressClass::Unspecified,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => AddressClass::Private,
        [100, 64..=127, ..] => AddressClass::CarrierNat,
        [127, ..] => AddressClass::Loopback,
        [169, 254, ..] => AddressClass::LinkLocal,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => AddressClass::Documentation,
        [192, 0, 0, _] => AddressClass::Reserved,
        [192, 88, 99, _] => AddressClass::Translated,
        [198, 18..=19, ..] => AddressClass::Benchmarking,
        [224..=239, ..] => AddressClass::Multicast,
        [255, 255, 255, 255] => AddressClass::Broadcast,
        [240..=255, ..] => AddressClass::Reserved,
        _ => AddressClass::Public,
    }
}

fn classify_v6(address: Ipv6Addr) -> AddressClass {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => AddressClass::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => AddressClass::Loopback,
        [0, 0, 0, 0, 0, 0, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => AddressClass::Translated,
        [0x64, 0xff9b, 0, 0, 0, 0, ..] | [0x64, 0xff9b, 1, ..] => AddressClass::Translated,
        [0x2001, 0, ..] | [0x2002, ..] => AddressClass::Translated,
        [0x2001, 2, 0, ..] => AddressClass::Benchmarking,
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0x0fff, ..] => AddressClass::Documentation,
        [0x2001, 0..=0x1ff, ..] => AddressClass::Reserved,
        [0x2000..=0x3fff, ..] => AddressClass::Public,
        [0xfc00..=0xfdff, ..] => AddressClass::UniqueLocal,
        [0xfe80..=0xfebf, ..] => AddressClass::LinkLocal,
        [0xfec0..=0xfeff, ..] => AddressClass::Private,
        [0xff00..=0xffff, ..] => AddressClass::Multicast,
        _ => AddressClass::Reserved,
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

const fn v6(segments: [u16; 8]) -> IpAddr {
    let [a, b, c, d, e, f, g, h] = segments;
    IpAddr::V6(Ipv6Addr::new(a, b, c, d, e, f, g, h))
}

#[cfg(test)]
mod tests {
    use super::AddressClass::*;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_special_range_is_recognised_at_both_its_ends() {
        let table: &[(AddressClass, &[&str])] = &[
            (Public, &["1.1.1.1", "8.8.8.8", "162.159.128.233", "9.255.255.255", "11.0.0.0", "126.255.255.255"]),
            (
                Public,
                &["128.0.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0", "100.63.255.255"],
            ),
            (
                Public,
                &["100.128.0.0", "169.253.255.255", "169.255.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255"],
            ),
            (
                Public,
                &["2606:4700::1111", "2a00::1", "2000::", "2001:200::", "2001:db7::", "2001:db9::", "2003::", "3ffe::"],
            ),
            (Loopback, &["127.0.0.0", "127.0.0.1", "127.255.255.255", "::1"]),
            (Unspecified, &["0.0.0.0", "0.1.2.3", "0.255.255.255", "::"]),
            (
                Private,
                &["10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0", "192.168.255.255"],
            ),
            (Private, &["fec0::", "feff:ffff::"]),
            (UniqueLocal, &["fc00::", "fd12:3456::1", "fdff:ffff::"]),
            (CarrierNat, &["100.64.0.0", "100.127.255.255"]),
            (LinkLocal, &["169.254.0.0", "169.254.255.255", "fe80::", "fe80::1", "febf:ffff::"]),
            (Multicast, &["224.0.0.0", "224.0.0.1", "239.255.255.255", "ff00::", "ff02::1", "ffff::"]),
            (Broadcast, &["255.255.255.255"]),
            (
                Documentation,
                &["192.0.2.0", "192.0.2.255", "198.51.100.7", "203.0.113.7", "2001:db8::", "2001:db8:ffff::"],
            ),
            (Documentation, &["3fff::", "3fff:fff:ffff::"]),
            (Benchmarking, &["198.18.0.0", "198.19.255.255", "2001:2::", "2001:2:0:ffff::"]),
            (Reserved, &["192.0.0.0", "192.0.0.9", "192.0.0.255", "240.0.0.0", "255.255.255.254", "2001:1::1"]),
            (
                Reserved,
                &["2001:10::", "2001:20::1", "2001:1ff:ffff::", "100::", "100::1", "4000::", "5f00::1", "fe00::"],
            ),
            (Translated, &["64:ff9b::", "64:ff9b::8.8.8.8", "64:ff9b:1::1", "64:ff9b:1:ffff::", "192.88.99.1"]),
            (
                Translated,
                &["2001::1", "2001:0:ffff::", "2002::", "2002:7f00:1::", "::8.8.8.8", "::2", "::ffff:0:8.8.8.8"],
            ),
            (CloudMetadata, &["169.254.169.254", "169.254.170.2", "169.254.170.23", "100.100.100.200"]),
            (CloudMetadata, &["168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254"]),
        ];
        for (class, addresses) in table {
            for address in *addresses {
                let parsed: IpAddr = address.parse().expect(address);
                assert_eq!(classify(parsed), *class, "{address}");
            }
        }
    }

    #[test]
    fn a_mapped_address_is_what_its_inner_address_is() {
        for (mapped, class) in [
            ("::ffff:8.8.8.8", Public),
            ("::ffff:127.0.0.1", Loopback),
            ("::ffff:10.0.0.1", Private),
            ("::ffff:169.254.169.254", CloudMetadata),
            ("::ffff:a9fe:a9fe", CloudMetadata),
            ("::ffff:a83f:8110", CloudMetadata),
        ] {
            assert_eq!(classify(mapped.parse().expect(mapped)), class, "{mapped}");
        }
    }

    #[test]
    fn the_inner_address_of_every_translation_is_found() {
        for (outer, inner) in [
            ("64:ff9b::169.254.169.254", Some("169.254.169.254")),
            ("2002:7f00:1::", Some("127.0.0.1")),
            ("2001:0:1:2:3:4:80ff:fffe", Some("127.0.0.1")),
            ("::ffff:0:10.0.0.1", Some("10.0.0.1")),
            ("::10.0.0.1", Some("10.0.0.1")),
            ("2606:4700::1111", None),
            ("8.8.8.8", None),
        ] {
            let expected = inner.map(|text| text.parse().expect(text));
            assert_eq!(translated_inner(outer.parse().expect(outer)), expected, "{outer}");
        }
    }

    proptest! {
        /// The standard library's own predicates agree: what any of them calls special is never public here.
        #[test]
        fn nothing_that_the_standard_library_calls_special_is_public_v4(bits: u32) {
            let address = Ipv4Addr::from(bits);
            let special = address.is_private() || address.is_loopback() || address.is_link_local()
                || address.is_broadcast() || address.is_documentation() || address.is_multicast()
                || address.is_unspecified();
            prop_assert!(!special || classify(IpAddr::V4(address)) != Public);
        }

        #[test]
        fn nothing_outside_global_unicast_is_public_v6(bits: u128) {
            let address = Ipv6Addr::from(bits);
            let class = classify(IpAddr::V6(address));
            if class == Public {
                prop_assert_eq!(bits >> 125, 1, "2000::/3");
                prop_assert!(!address.is_multicast() && !address.is_unique_local());
                prop_assert_eq!(translated_inner(IpAddr::V6(address)), None);
            }
        }

        /// No spelling of an IPv4 address inside IPv6 is public where the address itself is not.
        #[test]
        fn wrapping_an_address_never_makes_it_public(bits: u32) {
            let inner = Ipv4Addr::from(bits);
            let bits = u128::from(bits);
            let class = classify(IpAddr::V4(inner));
            prop_assert_eq!(classify(IpAddr::V6(inner.to_ipv6_mapped())), class);
            for wrapped in [bits | 0x0064_ff9b_u128 << 96, bits << 80 | 0x2002_u128 << 112, bits, bits | 0xffff_u128 << 48] {
                prop_assert_ne!(classify(IpAddr::V6(Ipv6Addr::from(wrapped))), Public);
            }
        }
    }
}
