//! Roles by the groups of the identity provider.

use domain::Identity;
use state::Role;

/// Which groups of the provider have which role; `*` is everyone.
#[derive(Debug, Clone, Default)]
pub struct RoleGroups {
    pub admins: Vec<String>,
    pub analysts: Vec<String>,
    pub viewers: Vec<String>,
}

impl RoleGroups {
    /// The highest role of a person; `None`: no role.
    pub(crate) fn role_of(&self, identity: &Identity) -> Option<Role> {
        let has = |groups: &[String]| groups.iter().any(|group| group == "*" || identity.groups.contains(group));
        [(Role::Admin, &self.admins), (Role::Analyst, &self.analysts), (Role::Viewer, &self.viewers)]
            .into_iter()
            .find_map(|(role, groups)| has(groups).then_some(role))
    }
}
