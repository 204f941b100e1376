# What holds on every installation: second factor, account, role of the member for the action.
package plateward.platform

# Action → roles that may do it. An action that is not here is denied by default.
roles_for := {
	"ACTION_SEARCH": {"officer", "supervisor"},
	"ACTION_VIEW_IMAGE": {"officer", "supervisor"},
	"ACTION_CANVASS": {"supervisor"},
	"ACTION_EXPORT": {"supervisor", "designee"},
	"ACTION_MANAGE_HOLD": {"supervisor", "designee"},
	"ACTION_DESTROY": {"administrator"},
	"ACTION_MANAGE_CAMERAS": {"administrator"},
	"ACTION_VIEW_CAMERAS": {"officer", "supervisor", "auditor", "administrator"},
	"ACTION_MANAGE_HOTLIST": {"officer", "supervisor"},
	"ACTION_VIEW_HOTLIST": {"officer", "supervisor", "auditor"},
	"ACTION_PUSH_HOTLIST": {"supervisor", "designee"},
	"ACTION_VIEW_HITS": {"officer", "supervisor"},
	"ACTION_VERIFY_HIT": {"officer", "supervisor"},
	"ACTION_ACT_ON_HIT": {"officer", "supervisor"},
	"ACTION_VIEW_POLICY": {"officer", "supervisor", "auditor", "administrator", "designee"},
	"ACTION_MANAGE_POLICY": {"administrator", "designee"},
	"ACTION_VIEW_MEMBERS": {"auditor", "administrator", "supervisor"},
	"ACTION_MANAGE_MEMBERS": {"administrator"},
	"ACTION_MANAGE_SHARING": {"administrator", "designee"},
	"ACTION_MANAGE_RELEASE": {"designee", "administrator"},
	"ACTION_APPROVE": {"officer", "supervisor", "designee"},
	"ACTION_GRANT_APPROVAL": {"supervisor", "designee"},
	"ACTION_DECIDE_SHARING": {"designee"},
	"ACTION_DECIDE_RELEASE": {"designee"},
	"ACTION_SEARCH_AUDIT": {"auditor", "administrator"},
	"ACTION_CONDUCT_AUDIT": {"auditor"},
	"ACTION_DISCLOSE": {"designee"},
}

# What a partner's member may ask of an owner, under an agreement.
partner_actions := {"ACTION_SEARCH", "ACTION_VIEW_IMAGE", "ACTION_CANVASS", "ACTION_VIEW_HITS"}

partner_requests := {"ACTION_MANAGE_SHARING", "ACTION_MANAGE_RELEASE"}

second_factors := {"otp", "mfa", "hwk", "swk", "fido", "totp", "pop", "sc"}

known_action if roles_for[input.action]

user if input.subject.member_id != ""

partner if input.subject.kind == "CALLER_KIND_PARTNER"

denies contains {
	"priority": "10",
	"rule": "platform.member-required",
	"message": "a signed-in member is needed for this: send a member's token",
} if {
	known_action
	not user
	not unattended
}

# The one thing a service does by itself: destroying what is due.
unattended if {
	input.action == "ACTION_DESTROY"
	input.subject.kind == "CALLER_KIND_SERVICE"
}

denies contains {
	"priority": "11",
	"rule": "platform.mfa-required",
	"message": "a second factor is required: sign in again with your authenticator or security key",
} if {
	user
	not has_second_factor
}

has_second_factor if {
	some method in input.subject.amr
	second_factors[method]
}

denies contains {
	"priority": "40",
	"rule": "platform.role",
	"message": sprintf("your role does not include this (%s): ask an administrator, or someone who has the role", [input.action]),
} if {
	user
	not partner
	known_action
	not has_role
}

has_role if {
	some role, _ in input.member.roles
	roles_for[input.action][role]
}

denies contains {
	"priority": "40",
	"rule": "platform.partner-action",
	"message": "partner agencies may search, look at pictures and follow hits under an agreement, and nothing else",
} if {
	partner
	known_action
	not partner_actions[input.action]
	not partner_requests[input.action]
}

grounds contains "platform.mfa-required" if has_second_factor

grounds contains "platform.role" if has_role
