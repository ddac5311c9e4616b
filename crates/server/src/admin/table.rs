//! The table of routes. An area has a file with its rows here and one with its handlers beside this one.

use super::route::Route;

mod billing;
mod deliveries;
mod health;
mod legacy;
mod limits;
mod pages;
mod people;
mod requests;
mod resources;
mod routing;
mod system;

/// Returns every route.
pub fn routes() -> Vec<Route> {
    let mut all = health::routes();
    all.extend(pages::routes());
    all.extend(requests::routes());
    all.extend(limits::routes());
    all.extend(billing::routes());
    all.extend(people::routes());
    all.extend(resources::routes());
    all.extend(deliveries::routes());
    all.extend(routing::routes());
    all.extend(system::routes());
    all.extend(legacy::routes());
    all
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use control::access::Permission;
    use control::actor::Role;

    use super::*;
    use crate::admin::route::{Form, Handler, Place, Takes};
    use crate::admin::throttle::RateClass;

    #[test]
    fn every_route_is_there_once_and_has_a_name_of_its_own() {
        let routes = routes();
        let places: BTreeSet<String> = routes.iter().map(|route| format!("{} {}", route.method, route.path)).collect();
        let ids: BTreeSet<&str> = routes.iter().map(|route| route.id.as_str()).collect();
        assert_eq!((places.len(), ids.len()), (routes.len(), routes.len()));
    }

    #[test]
    fn every_parameter_of_a_path_is_declared() {
        for route in routes() {
            let in_path: Vec<&str> =
                route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
            let declared = route.parameters.iter().filter(|parameter| parameter.place == Place::Path);
            assert_eq!(declared.map(|parameter| parameter.name).collect::<Vec<_>>(), in_path, "{}", route.path);
        }
    }

    #[test]
    fn what_is_open_is_open_and_nothing_else_is() {
        for route in routes() {
            let open = matches!(route.handler, Handler::Open(_));
            assert_eq!(route.permission == Permission::Open, open, "{}", route.id);
        }
    }

    #[test]
    fn what_changes_something_is_not_for_those_who_only_read() {
        for route in routes().iter().filter(|route| !route.method.is_safe()) {
            let only_reads = route.permission.name().starts_with("read");
            assert!(!only_reads, "{} {} needs {}", route.method, route.path, route.permission.name());
            let everybody = route.permission.roles().contains(&Role::Viewer);
            let own = matches!(route.permission, Permission::Open | Permission::SignedIn);
            assert!(!everybody || own, "{} {}", route.method, route.path);
        }
    }

    #[test]
    fn what_is_read_has_no_body_and_everything_is_bounded() {
        for route in routes() {
            match route.takes {
                Takes::Nothing => {}
                Takes::Json { limit_bytes, .. } => {
                    assert!(!route.method.is_safe(), "{}", route.id);
                    assert!((1..=16 << 20).contains(&limit_bytes), "{}", route.id);
                }
            }
            assert!(route.rate != RateClass::WrongToken, "{}", route.id);
            assert!(!route.summary.is_empty() && route.summary.ends_with('.'), "{}", route.id);
            for parameter in &route.parameters {
                assert!(parameter.description.ends_with('.'), "{} {}", route.id, parameter.name);
                assert!(!matches!(parameter.form, Form::Text { most: 0 }), "{} {}", route.id, parameter.name);
            }
        }
    }
}
