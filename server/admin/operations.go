package admin

import "gatehouse/proxy"

// The operations. The names are the paths of the control socket, and the JSON
// of requests and responses is the wire format: see protocol before changing
// either.
var (
	reload = call[none, none]{"config.reload", (*Backend).reload}
	health = call[none, Status]{"health", (*Backend).health}

	listSessions   = stream[SessionQuery, Session]{"session.list", (*Backend).sessions}
	countSessions  = call[none, count]{"session.count", (*Backend).count}
	showSession    = call[byID, Session]{"session.show", (*Backend).session}
	revokeSessions = call[Revocation, count]{"session.revoke", (*Backend).revoke}
	purgeSessions  = call[none, count]{"session.purge", (*Backend).purge}

	listUsers   = stream[UserQuery, User]{"user.list", (*Backend).users}
	showUser    = call[byName, User]{"user.show", (*Backend).user}
	addUser     = call[NewUser, none]{"user.add", (*Backend).addUser}
	changeUser  = call[UserChange, User]{"user.set", (*Backend).changeUser}
	setPassword = call[NewPassword, none]{"user.passwd", (*Backend).setPassword}
	setDisabled = call[disabling, none]{"user.disable", (*Backend).setDisabled}
	deleteUser  = call[byName, none]{"user.delete", (*Backend).deleteUser}

	explain = call[ExplainRequest, proxy.Explanation]{"explain", (*Backend).explain}
)

// served returns all operations that the control socket has. An operation that is
// missing here can be run locally only.
func served() []operation {
	return []operation{
		reload, health,
		listSessions, countSessions, showSession, revokeSessions, purgeSessions,
		listUsers, showUser, addUser, changeUser, setPassword, setDisabled, deleteUser,
		explain,
		backup{},
	}
}
