# What the agency's written policy asks: approved members with training, a listed purpose, a case, a reason that says something.
package plateward.agency

import data.plateward.platform

purposeful := {
	"ACTION_SEARCH", "ACTION_CANVASS", "ACTION_VIEW_IMAGE", "ACTION_EXPORT",
}

# A purpose is judged where it must be there, and where one was given.
judged if purposeful[input.action]

judged if input.purpose.given

own_member if {
	platform.user
	not platform.partner
}

denies contains {
	"priority": "30",
	"rule": "agency.member-unknown",
	"message": "you are not a member of this agency's list: ask an administrator to add you",
} if {
	own_member
	not input.member.known
}

denies contains {
	"priority": "31",
	"rule": "agency.account-inactive",
	"message": "your account is suspended or locked: ask an administrator",
} if {
	own_member
	input.member.known
	not input.member.active
}

denies contains {
	"priority": "32",
	"rule": "agency.training-current",
	"message": sprintf("your training (%s) is missing or has expired: complete it, then have an administrator record it (462.3(d))", [data.policy.training]),
} if {
	own_member
	input.member.known
	not input.member.training_current
}

denies contains {
	"priority": "05",
	"rule": prohibited_rule(use),
	"message": sprintf("%s This use is prohibited and refused, whoever asks.", [entry.text]),
} if {
	some use, entry in data.policy.prohibited
	names_prohibited(use, entry)
}

prohibited_rule(use) := data.policy.prohibited[use].rule

# Named as the offence, or by a word of the reason.
names_prohibited(use, _) if input.purpose.offence == use

names_prohibited(_, entry) if {
	judged
	some word, _ in input.purpose.words
	entry.words[word]
}

denies contains {
	"priority": "20",
	"rule": "agency.purpose-required",
	"message": "name a purpose: an offence of the published catalogue, a case or event number and a reason",
} if {
	purposeful[input.action]
	not input.purpose.given
}

denies contains {
	"priority": "21",
	"rule": "agency.purpose-listed",
	"message": sprintf("this is no purpose of the published policy; it has: %s", [data.policy.offence_list]),
} if {
	judged
	input.purpose.given
	not data.policy.offences[input.purpose.offence]
	not data.policy.prohibited[input.purpose.offence]
}

denies contains {
	"priority": "22",
	"rule": "agency.case-number",
	"message": "this purpose needs a case or event number: give the one that the report or the dispatch carries",
} if {
	judged
	data.policy.offences[input.purpose.offence].needs_case
	not has_number
}

has_number if regex.match(`[0-9]{2,}`, input.purpose.case_number)

has_number if regex.match(`[0-9]{2,}`, input.purpose.event_number)

denies contains {
	"priority": "23",
	"rule": "agency.reason-specific",
	"message": "the reason is too vague: say in a sentence what happened and why this plate, for example \"silver Accord taken from Laguna Blvd at 03:10\"",
} if {
	judged
	input.purpose.given
	vague
}

vague if count(input.purpose.words) < 3

vague if {
	every word, _ in input.purpose.words {
		data.policy.vague[word]
	}
}

grounds contains "agency.training-current" if {
	own_member
	input.member.training_current
}

grounds contains "agency.purpose-listed" if {
	judged
	data.policy.offences[input.purpose.offence]
}
