"""Each file of tests/config/bad, named after what is wrong in it, and what is said of it.

A message without a file name is said of that file itself.
"""

from collections import defaultdict
from pathlib import Path

import pytest

from argos.errors import ConfigError, Fault
from argos.server.settings import read_config

FOLDER = Path(__file__).parent / "bad"
ENVIRON = {"COOKIE_SECRET": "a secret of the tests", "EXAMPLE_SECRET": "foo_bar_baz"}

FAULTS = r"""
access-unknown 4:27: `unauthenticated_access` must be `dashboard` or `all`, not 'everything'.
agent-time-is-a-text 5:23: `time_without_agent` must be a whole number, not 'soon'.
alerts-is-a-text 6:9: `ok` must be a list (lines that begin with `- `).
alerts-recipient-is-a-number 6:10: A recipient must be a text, such as `mail`.
alias-bomb 6:11: The aliases of this config stand for too many values.
alias-inside-itself 2:10: `*a` stands for a value that holds it.
alias-without-anchor 2:11: There is no anchor `&sites` before this alias.
aliases-nested-too-deep 2:19: `data` must not nest more than 50 levels deep.
all-faults-at-once 4:14: `frequency` must be a duration with its unit, as in "5m", not 5.
all-faults-at-once 5:8: `env` must be `dev`, `test` or `production`, not 'prod'.
all-faults-at-once 7:5: `addresses` is missing here.
all-faults-at-once 7:15: `mailfrom` must be an e-mail address, not 'nobody'.
all-faults-at-once 8:11: `port` must be at least 1, not 0.
all-faults-at-once 9:10: `ssl` must be yes or no, not 1.
all-faults-at-once 10:9: `service` must be a mapping (lines with `key: value`), not nothing.
all-faults-at-once 13:7: A threshold must have whole days, not '12h'.
all-faults-at-once 14:13: A threshold must have one of the severities `warning`, `critical`, `unknown`, not 'bad'.
all-faults-at-once 16:13: `domain` must be an address such as https://example.org/, not 'example.org'.
all-faults-at-once 19:15: `path` must be a text; put it in quotes if it is one.
all-faults-at-once 20:17: `method` must be `GET`, `HEAD`, `POST`, `OPTIONS`, `CONNECT`, `TRACE`, `PUT`, `PATCH` or `DELETE`, not 'get'; did you mean `GET`?
all-faults-at-once 22:13: There is no check 'status'; did you mean `status-is`?
all-faults-at-once 23:24: This should be one status code, such as 200; for several of them there is status-in.
allow-includes-from-a-number 4:25: An entry of `allow_includes_from` must be the path of a folder, not 5.
anchor-twice 3:6: There is an anchor `&a` before this one.
apprise-group-is-a-text 4:19: An entry of `apprise` must be a list (lines that begin with `- `).
apprise-group-without-name 4:13: An entry of `apprise` must have a text as its name; put it in quotes.
apprise-is-a-list 4:12: `apprise` must be a mapping (lines with `key: value`).
apprise-is-broken 4:12: The file nowhere.yaml cannot be read: No such file or directory.
apprise-url-is-a-mapping 4:20: An entry of `apprise` must be a text.
auth-is-a-text 4:11: `auth` must be a mapping (lines with `key: value`).
auth-of-two-kinds 4:11: `auth` must have either `basic` or `bearer`.
auth-with-a-colon 4:30: `username` must not hold a colon.
base-url-is-a-number 4:13: `base_url` must be an address such as https://example.org/, not 5.
base-url-of-another-scheme 4:13: `base_url` must begin with http:// or https://, not 'ftp://argos.example.org'.
base-url-without-scheme 4:13: `base_url` must be an address such as https://example.org/, not 'argos.example.org'.
binary-that-is-no-text 2:6: '/w==' is no usable binary; a text needs quotes.
channel-body-and-format 5:82: `body` cannot stand beside a `format`: it is one of its own.
channel-body-for-one 5:60: `body` must be a template that can be filled in: with several events, it is not JSON once it is filled in: Expecting value: line 1 column 10 (char 9).
channel-body-not-json 5:60: `body` must be a template that can be filled in: it is not JSON once it is filled in: Expecting ',' delimiter: line 1 column 557 (char 556).
channel-header-of-no-name 5:65: `headers` cannot hold 'X Token\r\nX': a header has no such name.
channel-header-with-accent 5:65: `headers` must not hold line breaks, accents and the like, as 'X-Token' does.
channel-header-with-line-break 5:65: `headers` must not hold line breaks, accents and the like, as 'X-Token' does.
channel-incomplete 5:11: `urls` is missing here.
channel-is-a-text 5:11: `team` must be a mapping (lines with `key: value`).
channel-name-taken 5:5: `mail` is a recipient of its own already; give this channel another name, such as `mail-team`.
channel-name-with-capitals 5:5: The name of a channel must have small letters, digits, - and _, at most 40, not 'Team Night'.
channel-text-broken 5:40: `text` must be a template that can be filled in: Unexpected end of template. Jinja was looking for the following tags: 'elif' or 'else' or 'endif'. The innermost block that needs to be closed is 'if'.
channel-title-mistyped 5:41: `title` must be a template that can be filled in: 'titel' is undefined.
channel-type-missing 5:11: `type` is missing here; it is one of `mail`, `gotify`, `apprise`, `webhook`, `ntfy`.
channel-type-mistyped 5:18: `type` must be one of `mail`, `gotify`, `apprise`, `webhook`, `ntfy`, not 'webhok'; did you mean `webhook`?
channel-topic-unusable 5:31: `topic` must hold letters, digits, - and _ only, at most 64.
channel-url-unusable 5:32: `url` must be an http or https URL.
channels-is-a-list 4:13: `channels` must be a mapping (lines with `key: value`).
check-is-a-text 7:13: An entry of `checks` must be a check with its value, such as `status-is: 200`.
check-is-empty 7:13: An entry of `checks` must be a check with its value, such as `status-is: 200`.
check-mistyped 7:13: There is no check 'staus-is'; did you mean `status-is`?
check-of-a-number 7:13: There is no check '5'; the checks are `status-is`, `status-in`, `http-to-https`, `headers-contain`, `headers-have`, `headers-like`, `body-contains`, `body-like`, `json-contains`, `json-has`, `json-like`, `json-is`, `ssl-certificate-expiration`, `response-time`, `http-version`, `ssl-certificate-valid`, `ssl-min-version`.
check-regular-expression 7:24: This is not a regular expression as Python knows them: missing ), unterminated subpattern at position 0.
check-unknown 7:13: There is no check 'status'; did you mean `status-is`?
check-value-broken 7:24: The file nowhere.yaml cannot be read: No such file or directory.
check-value-is-a-float 7:28: This should be a text, a whole number, true or false, a list or a mapping; it is a float. Put quotes around what is meant as a text.
check-value-missing 7:27: This should be a text, a whole number, true or false, a list or a mapping; it is nothing. Put quotes around what is meant as a text.
check-value-nested-by-aliases 2:29: An entry of `checks` must not nest more than 50 levels deep.
check-value-nested-too-deep 7:65: The config must not nest more than 50 levels deep.
check-value-of-no-use 7:24: This should be one status code, such as 200; for several of them there is status-in.
check-value-with-nul 7:28: `body-contains` must not hold a NUL character; a database cannot store it.
check-value-with-unknown-tag 7:25: Argos does not know the tag `!nope`.
checks-is-a-mapping 6:17: `checks` must be a list (lines that begin with `- `).
checks-is-null 6:16: `checks` must be a list (lines that begin with `- `), not nothing.
client-certificate-relative 4:32: `cert` must be a whole path, from / on, on the machine of the agent.
colon-in-a-text 2:13: This is not YAML: mapping values are not allowed in this context; put quotes around a text that holds `: `.
control-character 2:9: YAML does not allow the character U+0007 here; in double quotes it can be written "\u0007".
cookie-secret-is-a-list 4:18: `cookie_secret` must be a text.
cookie-secret-is-a-number 4:18: `cookie_secret` must be a text; put it in quotes if it is one.
database-driver-unknown 4:13: `url` must begin with sqlite:/// or postgresql://: Argos serves sqlite and postgresql.
database-in-memory 4:13: `url` must begin with sqlite:/// or postgresql://: Argos serves sqlite and postgresql.
database-pool-negative 4:46: `pool_size` must be at least 0, not -1.
database-pool-negative 4:64: `max_overflow` must be at least -1, not -2.
database-pool-no-number 4:46: `pool_size` must be a whole number, not 'many'.
database-unknown 4:13: `url` must begin with sqlite:/// or postgresql://: Argos serves sqlite and postgresql.
database-url-is-a-list 4:13: `url` must be a text.
depends-on-itself 5:17: A website must not depend on itself: https://b.example.org/ → https://c.example.org/ → https://b.example.org/.
depends-on-nobody 5:17: A website must not depend on itself: https://a.example.org/ → https://a.example.org/.
depends-on-nobody 5:43: There is no website 'Alpa'; did you mean `Alpha`?
domain-is-mistyped 3:5: `domain` is missing here; is it `domian`?
domain-is-null 4:12: `domain` must be an address such as https://example.org/, not nothing.
domain-of-another-scheme 4:13: `domain` must begin with http:// or https://, not 'ftp://example.org'.
domain-too-long 4:13: `domain` must have at most 2083 characters.
domain-unusable 4:13: `domain` must be an address such as https://example.org/, not 'https://…@exa mple.org'.
domain-without-scheme 4:13: `domain` must be an address such as https://example.org/, not 'example.org'.
empty-file 1:1: The config must be a mapping (lines with `key: value`), not nothing.
enormous-number 2:11: '0xffffffffffffffffffffffffffffffffffffffffffffffffffffffffff'… is no usable int; a text needs quotes.
env-unknown 4:8: `env` must be `dev`, `test` or `production`, not 'prod'.
escalation-without-time 4:16: `after` is missing here.
fault-behind-an-alias 4:14: There is no check 'status'; did you mean `status-is`?
faults-in-included-files parts/faulty/a.yaml:1:9: `domain` must be an address such as https://example.org/, not 'example.org'.
faults-in-included-files parts/faulty/b.yaml:3:1: This is not YAML: did not find expected node content, while parsing a flow node that begins in line 3.
faults-in-included-files parts/faulty/c.yaml:1:1: A website must be a mapping (lines with `key: value`), not nothing.
faults-in-one-included-file parts/faulty/a.yaml:1:9: `domain` must be an address such as https://example.org/, not 'example.org'.
follow-too-far 4:13: `follow` must be at most 10, not 11.
frequency-in-base-60 4:14: `frequency` must be a duration with its unit, as in "5m", not 750.
frequency-is-a-list 4:14: `frequency` must be a duration with its unit, as in "5m", not a list.
frequency-is-a-number 4:14: `frequency` must be a duration with its unit, as in "5m", not 5.
frequency-is-negative 4:14: `frequency` must be more than 0, not '-5m'.
frequency-is-no-duration 4:14: `frequency` has no number in 'often'; write for instance "5m" (minutes).
frequency-is-null 4:13: `frequency` must be a duration with its unit, as in "5m", not nothing.
frequency-is-zero 4:14: `frequency` must be more than 0, not '0m'.
frequency-too-long 4:14: `frequency` cannot be used: '99999999y' is not a duration: it is too long; write for instance "5m" (minutes), "1h30m" or "7d".
frequency-with-unknown-unit 4:14: `frequency` cannot be used: '5min' is not a duration: "min" is not a unit (did you mean "m"?); write for instance "5m" (minutes), "1h30m" or "7d".
frequency-without-unit 4:14: `frequency` has no unit in '5'; write for instance "5m" (minutes).
general-options 5:18: `all_addresses` must be yes or no, not 'perhaps'.
gotify-is-a-mapping 4:11: `gotify` must be a list (lines that begin with `- `).
gotify-token-is-a-number 4:57: An entry of `tokens` must be a text; put it in quotes if it is one.
gotify-url-unusable 4:18: `url` must be an address such as https://example.org/, not 'https://'.
http-version-unknown 4:19: `http_version` must be `auto`, `1.1`, `2`, `2-prior-knowledge` or `3`, not '4'.
impossible-date 2:9: '2026-02-31' is no usable timestamp; a text needs quotes.
include-a-folder 2:11: The file parts cannot be read: Not a regular file.
include-list-too-long 2:11: An include must be a file name, a list `[pattern, depth]` or a mapping with `urlpath`.
include-loop 2:11: An include must not lead back to include-loop.yaml.
include-mapping-without-urlpath 2:11: An include must be a file name, a list `[pattern, depth]` or a mapping with `urlpath`.
include-missing 2:11: The file nowhere.yaml cannot be read: No such file or directory.
include-of-a-broken-list 2:21: Argos does not know the tag `!nope`.
include-of-lists parts/lists/a.yaml:1:1: A website must be a mapping, not a list; to include files that hold lists, write `!include {urlpath: …, flatten: true}`.
include-too-deep parts/deep5.yaml:1:1: An include must not lie in more than 5 others.
include-url 2:11: An include must name files, not the URL 'https://example.org/websites.yaml'.
include-with-bad-depth 2:11: An include must have a depth of 1 or more, not 0.
include-without-name 2:11: An include must be a file name, a list `[pattern, depth]` or a mapping with `urlpath`.
ipv4-is-null 4:8: `ipv4` must be yes or no, not nothing.
ipv4-perhaps 4:9: `ipv4` must be yes or no, not 'perhaps'.
key-with-unknown-tag 2:3: Argos does not know the tag `!nope`.
ldap-incomplete 4:9: `user_attr` is missing here.
ldap-incomplete 4:9: `user_tree` is missing here.
language-unknown 4:13: `language` must be `en` or `fr`, not 'de'.
list-as-key 2:3: A list or a mapping cannot be a key.
locations-repeated 4:16: `locations` must name each location once, not 'oslo' twice.
locations-repeated 7:17: An entry of `locations` must neither hold control characters nor begin or end with a blank.
lock-half-a-second 4:21: `max_lock_seconds` must be a whole number, not 100.5.
lock-is-null 4:21: `max_lock_seconds` must be a whole number, not nothing.
mail-address-of-nobody 4:20: `mailfrom` must be an e-mail address, not 'argos'.
mail-address-of-nobody 4:58: An entry of `addresses` must be an e-mail address, not '@example.org'.
mail-address-with-line-break 4:20: `mailfrom` must be an e-mail address, not 'a@example.org\nBcc: b@example.org'.
mail-addresses-are-missing 4:9: `addresses` is missing here.
mail-auth-incomplete 7:11: `password` is missing here.
mail-host-is-null 7:10: `host` must be a text; put it in quotes if it is one.
mail-port-too-high 7:11: `port` must be at most 65535, not 70000.
mail-port-zero 7:11: `port` must be at least 1, not 0.
mail-ssl-is-a-number 7:10: `ssl` must be yes or no, not 1.
maintenance-cron-broken 5:14: '0 99 * * *' is no cron expression: Bad hour.
maintenance-ends-first 5:7: A maintenance window must end after it starts.
maintenance-moment-broken 5:16: `starts` must be a moment such as "2026-12-24 18:00", not 'tomorrow'.
maintenance-of-nothing 5:48: `match` must name something; leave it out to mean all websites.
maintenance-of-two-kinds 5:7: A maintenance window must have either `starts` and `ends`, or `cron` and `duration`, or `rrule`, `starts` and `duration`.
maintenance-rrule-broken 5:15: 'FREQ=SOMETIMES' is no RRULE: invalid 'FREQ': SOMETIMES.
maintenance-rrule-with-offset 5:7: A maintenance window must have its `starts` without an offset, for it comes again.
maintenance-too-long 5:7: A maintenance window must not last longer than 31 days.
maintenance-without-end 5:7: A maintenance window must end before it begins again; as it is, nobody would be told of anything, ever: shorten its `duration`.
merged-broken 2:5: Argos does not know the tag `!nope`.
merged-broken 3:11: Argos does not know the tag `!nope`.
merged-text 1:1: `general` is missing here.
merged-text 1:1: `recurring_tasks` is missing here.
merged-text 1:1: `service` is missing here.
merged-text 1:1: `ssl` is missing here.
merged-text 1:1: `websites` is missing here.
merged-text 1:5: Only a mapping or a list of mappings can be merged with `<<`.
method-lower-case 7:17: `method` must be `GET`, `HEAD`, `POST`, `OPTIONS`, `CONNECT`, `TRACE`, `PUT`, `PATCH` or `DELETE`, not 'get'; did you mean `GET`?
method-unknown 7:17: `method` must be `GET`, `HEAD`, `POST`, `OPTIONS`, `CONNECT`, `TRACE`, `PUT`, `PATCH` or `DELETE`, not 'FETCH'; did you mean `PATCH`?
missing-alerts 5:5: `critical` is missing here.
missing-alerts 5:5: `no_agent` is missing here.
missing-alerts 5:5: `unknown` is missing here.
missing-alerts 5:5: `warning` is missing here.
missing-sections 1:1: `recurring_tasks` is missing here.
missing-sections 1:1: `service` is missing here.
missing-sections 1:1: `ssl` is missing here.
missing-sections 1:1: `websites` is missing here.
mistyped-required-key 5:3: `secrets` is missing here; is it `secret`?
name-is-empty 4:11: `name` must not be empty.
name-server-by-name 4:18: `name_server` must be an address, with a port or without, such as 9.9.9.9, 127.0.0.1:5353 or [2620:fe::fe]:53.
name-too-long 4:11: `name` must have at most 200 characters.
nested-too-deep 2:58: The config must not nest more than 50 levels deep.
not-utf-8 2:6: The byte 0xe9 is not UTF-8; save the file in that encoding.
open-bracket 3:1: This is not YAML: did not find expected node content, while parsing a flow node that begins in line 3.
options-and-more 4:13: `follow` must be at least 0, not -1.
options-and-more 5:14: `timeout` must be at most 10 minutes, not 1h.
path-elsewhere 5:15: 'mailto:admin@example.org' does not lead to an http or https URL.
path-elsewhere 7:15: '//[oops' does not lead to an http or https URL.
path-is-a-number 5:15: `path` must be a text; put it in quotes if it is one.
path-missing 5:9: `path` is missing here.
path-with-nul 5:15: `path` must not hold a NUL character; a database cannot store it.
paths-are-missing 3:5: `paths` is missing here.
paths-is-a-mapping 4:12: `paths` must be a list (lines that begin with `- `).
paths-is-null 4:11: `paths` must be a list (lines that begin with `- `), not nothing.
proxy-of-another-scheme 4:12: `proxy` must begin with http:// or socks5h:// (of SOCKS, the kind that looks names up itself).
python-object 2:6: Argos does not know the tag `!!python/object/apply:os.system`.
quiet-hours-empty 4:16: `quiet_hours` must not end when they begin.
quiet-hours-in-base-60 4:24: `begin` must be an hour in quotes, as in "22:00", not 1320.
quorum-out-of-reach 5:13: `quorum` must be at most 2, the number of `locations`.
quorum-out-of-reach 8:13: `quorum` counts `locations`, and there are none.
quorum-out-of-reach 12:13: `quorum` must be at least 1, not 0.
recheck-delay-is-negative 4:18: `recheck_delay` must be more than 0, not '-1m'.
recipient-is-null 4:35: A recipient must be a text, such as `mail`.
recipients-is-a-text 4:28: `add_alerts_recipients` must be a list (lines that begin with `- `).
recoveries-negative 4:35: `recoveries_before_notification` must be at least 0, not -1.
request-data-is-a-text 7:23: `request_data` must be a mapping (lines with `key: value`).
request-data-variable-not-set 7:49: An entry of `headers` names the environment variable NOT_SET, which is not set; if "${NOT_SET}" is meant as it stands, write "$${NOT_SET}".
request-data-with-date 7:23: `request_data` must not hold a date; put it in quotes if it is a text.
request-data-with-date-as-key 7:23: `request_data` must not hold a date; put it in quotes if it is a text.
request-header-is-a-number 7:39: An entry of `headers` must be a text; put it in quotes if it is one.
request-header-with-line-break 7:33: `headers` must not hold line breaks, as 'Authorization' does.
request-headers-are-a-list 7:33: `headers` must be a mapping (lines with `key: value`).
request-is-json-perhaps 7:33: `is_json` must be yes or no, not 'perhaps'.
results-age-is-a-number 3:20: `max_results_age` must be a duration with its unit, as in "5m", not 90.
results-age-without-unit 3:20: `max_results_age` has no unit in '5'; write for instance "5m" (minutes).
results-is-a-text 2:10: `results` must be a mapping (lines with `key: value`).
results-keep-mistyped 3:9: `keep` must be `all` or `changes`, not 'change'; did you mean `changes`?
retries-half 4:30: `retry_before_notification` must be a whole number, not 1.5.
retries-is-a-text 4:30: `retry_before_notification` must be a whole number, not 'often'.
retries-negative 4:30: `retry_before_notification` must be at least 0, not -1.
retries-null 4:29: `retry_before_notification` must be a whole number, not nothing.
retries-with-too-many-digits 4:30: `retry_before_notification` must be a whole number with fewer digits.
root-is-a-list 1:1: The config must be a mapping (lines with `key: value`).
root-path-is-a-number 4:14: `root_path` must be a text; put it in quotes if it is one.
recipients-unknown-to-our-keys 6:18: `mail` has no effect: `general.mail` is not configured.
recipients-unknown-to-our-keys 7:42: 'lcoal' names no recipient and has no effect; did you mean `local`?
recipients-unknown-to-our-keys 8:50: 'pager' names no recipient and has no effect.
route-severity-unknown 4:63: `severities` must be some of `ok`, `warning`, `critical` and `unknown`, not 'bad'.
second-document 3:1: Here begins a second document; a config file has only one.
secret-file-missing 4:18: `cookie_secret` cannot be read from /nowhere/secret: No such file or directory.
secret-is-a-number 2:21: An entry of `secrets` must be a text; put it in quotes if it is one.
secrets-is-a-text 2:20: `secrets` must be a list (lines that begin with `- `).
secrets-is-null 3:11: `secrets` must be a list (lines that begin with `- `), not nothing.
section-general-is-a-text 2:10: `general` must be a mapping (lines with `key: value`).
section-is-a-text 2:6: `ssl` must be a mapping (lines with `key: value`).
section-is-broken 2:10: Argos does not know the tag `!nope`.
section-without-content 2:9: `service` must be a mapping (lines with `key: value`), not nothing.
session-duration-is-null 4:20: `session_duration` must be a duration with its unit, as in "5m", not nothing.
session-of-no-time 4:21: `session_duration` has no unit in '5'; write for instance "5m" (minutes).
ssl-invalid-unknown 4:12: `invalid` must be `ok`, `warning`, `critical` or `unknown`, not 'bad'.
star-without-quotes 2:21: This is not YAML: did not find expected alphabetic or numeric character, while scanning an alias that begins in line 2; put quotes around a text that begins with `*`.
tab 3:1: This is not YAML: found character that cannot start any token, while scanning for the next token that begins in line 3; indent with spaces, and put quotes around the text.
tag-is-a-number 4:12: An entry of `tags` must be a text; put it in quotes if it is one.
tags-is-a-text 4:11: `tags` must be a list (lines that begin with `- `).
threshold-is-a-number 4:7: A threshold must be a duration with its unit, as in "5d", not 5.
threshold-is-a-text 4:7: A threshold must be a duration and a severity, such as `"5d": warning`.
threshold-is-empty 4:7: A threshold must be a duration and a severity, such as `"5d": warning`.
threshold-negative 4:7: A threshold must have whole days, not '-1d'.
threshold-of-a-month 4:7: A threshold must have whole days, not '1M'.
threshold-of-hours 4:7: A threshold must have whole days, not '12h'.
threshold-ok 4:13: A threshold must have one of the severities `warning`, `critical`, `unknown`, not 'ok'.
threshold-severity-mistyped 4:13: A threshold must have one of the severities `warning`, `critical`, `unknown`, not 'crtical'; did you mean `critical`?
threshold-without-severity 4:12: A threshold must have one of the severities `warning`, `critical`, `unknown`, not nothing.
thresholds-is-a-mapping 4:5: `thresholds` must be a list (lines that begin with `- `).
time-zone-unknown 4:14: 'Europe/Pari' is no time zone; write for instance Europe/Paris or UTC.
timeout-is-zero 4:12: `timeout` must be more than 0, not '0s'.
timeout-too-long 4:12: `timeout` must be at most 10 minutes, not 11m.
tls-min-unknown 4:14: `tls_min` must be `1.0`, `1.1`, `1.2` or `1.3`, not '1.4'; did you mean `1.3`?
unknown-tag 2:6: Argos does not know the tag `!secret`.
unknown-tag-of-a-mapping 2:6: Argos does not know the tag `!secret`.
unquoted-variable-in-braces 4:14: This is not YAML: did not find expected ',' or '}', while parsing a flow mapping that begins in line 4; put quotes around a text that holds `{`, `}` or `,`.
value-with-unknown-tag 4:8: Argos does not know the tag `!nope`.
variable-not-set 4:18: `cookie_secret` names the environment variable NOT_SET, which is not set; if "${NOT_SET}" is meant as it stands, write "$${NOT_SET}".
variable-not-set-in-a-list 4:53: `addresses` names the environment variable NOT_SET, which is not set; if "${NOT_SET}" is meant as it stands, write "$${NOT_SET}".
website-confirm-is-a-text 4:14: `confirm` must be yes or no, not 'sometimes'.
website-frequency-is-a-number 4:16: `frequency` must be a duration with its unit, as in "5m", not 5.
website-ipv6-perhaps 4:11: `ipv6` must be yes or no, not 2.
website-is-a-text 3:5: A website must be a mapping (lines with `key: value`).
website-is-empty 3:4: A website must be a mapping (lines with `key: value`), not nothing.
website-recheck-delay-is-true 4:20: `recheck_delay` must be a duration with its unit, as in "5m", not yes.
website-retries-negative 4:32: `retry_before_notification` must be at least 0, not -1.
website-timeout-too-long 4:14: `timeout` must be at most 10 minutes, not 1h.
websites-is-null 2:10: `websites` must be a list (lines that begin with `- `), not nothing.
"""


def _by_file(lines: str) -> dict[str, list[str]]:
    messages = defaultdict(list)
    for line in lines.strip().splitlines():
        name, _, message = line.partition(" ")
        messages[name].append(message)
    return dict(messages)


def _shown(fault: Fault, path: Path) -> str:
    return str(fault).replace(f"{path}:", "").replace(f"{FOLDER}/", "")


EXPECTED = _by_file(FAULTS)


@pytest.mark.parametrize("name", EXPECTED)
def test_all_faults_are_told_with_their_places(name):
    path = FOLDER / f"{name}.yaml"

    with pytest.raises(ConfigError) as caught:
        read_config(path, environ=ENVIRON)

    assert [_shown(fault, path) for fault in caught.value.faults] == EXPECTED[name]


def test_each_bad_file_has_its_message():
    files = {path.stem for path in FOLDER.glob("*.yaml")}

    assert files - {"many-faults"} == set(EXPECTED)


def test_a_hundred_faults_are_told_and_the_others_counted():
    with pytest.raises(ConfigError) as caught:
        read_config(FOLDER / "many-faults.yaml", environ=ENVIRON)

    *told, rest = caught.value.faults
    assert len(told) == 100
    assert rest == Fault(str(FOLDER / "many-faults.yaml"), 0, 0, "… and 140 more.")
    assert str(rest).endswith("many-faults.yaml: … and 140 more.")


def test_the_error_shows_file_line_and_column():
    path = FOLDER / "env-unknown.yaml"

    with pytest.raises(ConfigError) as caught:
        read_config(path, environ=ENVIRON)

    assert str(caught.value) == (
        f"{path}:4:8: `env` must be `dev`, `test` or `production`, not 'prod'."
    )


def test_faults_come_with_the_warnings_that_may_explain_them():
    with pytest.raises(ConfigError) as caught:
        read_config(FOLDER / "domain-is-mistyped.yaml", environ=ENVIRON)

    assert [warning.message for warning in caught.value.warnings] == [
        "The unknown key `domian` has no effect; did you mean `domain`?"
    ]
