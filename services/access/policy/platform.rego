# What holds on every installation: a signed-in member, a second factor, a role for the action.
package plateward.platform

action := data.policy.actions[input.action]

known_action if action

user if input.subject.member

partner if input.subject.kind == "CALLER_KIND_PARTNER"

# The one thing a service does by itself: destroying what is due.
unattended if {
	action.unattended
	input.subject.kind == "CALLER_KIND_SERVICE"
}

second_factor if {
	some method in input.subject.amr
	data.policy.second_factors[method]
}

role if {
	some name, _ in input.member.roles
	action.roles[name]
}

partner_may if action.partner

partner_may if action.partner_asks

denies contains "platform.member-required" if {
	known_action
	not user
	not unattended
}

denies contains "platform.mfa-required" if {
	user
	not second_factor
}

denies contains "platform.role" if {
	user
	known_action
	not partner
	not role
}

denies contains "platform.partner-action" if {
	partner
	known_action
	not partner_may
}

grounds contains "platform.mfa-required" if second_factor

grounds contains "platform.role" if role

grounds contains "platform.unattended" if unattended
