{#-
  Which events count: what all conditions have in common. A condition on one row of int_person_events.

  event         one word or a list of them, of which any counts. A word is one of the types of the taxonomy
                ('core_action'), 'activity', 'any_event', or else the name of an event ('meal_cooked').
  where         a condition in SQL on the columns of the row; where it is null, the event does not count
  days          in the last so many days: those that end on the as-of date, itself included
  from_date,    on this day or later, on this day or earlier; either may be left out
  to_date

  Without days and dates it is ever, as far back as single events are kept.
-#}
{% macro matching(macro, event, where, days=none, from_date=none, to_date=none) -%}
    {%- set conditions = [] -%}
    {%- for condition in [is_event(event, macro), in_window(macro, days, from_date, to_date)] -%}
        {%- if condition -%}{%- do conditions.append(condition) -%}{%- endif -%}
    {%- endfor -%}
    {%- if where is not none -%}
        {%- do refuse_unless_text(macro, 'where', where, 'a condition in SQL, or leave it out') -%}
        {%- do conditions.append('(' ~ where ~ ')') -%}
    {%- endif -%}
    {{ conditions | join(' and ') if conditions else 'true' }}
{%- endmacro %}

{#- The condition for one or several events; nothing where any event will do. -#}
{% macro is_event(event, macro='is_event') -%}
    {%- if event is none or event is undefined -%}
        {%- do refuse(macro, "event is missing; write a type, as 'core_action', a name, 'activity' or 'any_event'") -%}
    {%- endif -%}
    {%- set words = [event] if event is string else event -%}
    {%- if words is mapping or words is not sequence or words | length == 0 -%}
        {%- do refuse(macro, "event is '" ~ event ~ "'; write an event, or a list of one or more") -%}
    {%- endif -%}
    {%- set of_kind = {'name': [], 'type': [], 'activity': [], 'any': []} -%}
    {%- for word in words -%}
        {%- do refuse_unless_text(macro, 'event', word, "a type, a name, 'activity' or 'any_event'") -%}
        {%- do of_kind[event_kind(word)].append(text_literal(word)) -%}
    {%- endfor -%}
    {%- set conditions = [] -%}
    {%- for kind in ['type', 'name'] if of_kind[kind] -%}
        {%- do conditions.append('event_' ~ kind ~ (' = ' ~ of_kind[kind][0] if of_kind[kind] | length == 1
            else ' in (' ~ of_kind[kind] | join(', ') ~ ')')) -%}
    {%- endfor -%}
    {%- if of_kind['activity'] -%}{%- do conditions.append('is_activity') -%}{%- endif -%}
    {%- if not of_kind['any'] -%}
        {{- '(' ~ conditions | join(' or ') ~ ')' if conditions | length > 1 else conditions[0] -}}
    {%- endif -%}
{%- endmacro %}

{#-
  What a word for an event is: `type`, `name`, `activity` or `any`. The types are a closed list, so that which it is
  never depends on the data. An event whose name is also the word of a type is said with where="event_name = 'search'".
-#}
{% macro event_kind(word) -%}
    {{- 'type' if word in event_types() else {'activity': 'activity', 'any_event': 'any'}.get(word, 'name') -}}
{%- endmacro %}

{% macro event_types() %}
    {{ return([
        'page_view', 'content_view', 'search', 'sign_up', 'login', 'core_start', 'core_action', 'add_to_cart',
        'checkout_start', 'purchase', 'refund', 'support_contact', 'support_view', 'error', 'message_sent',
        'message_opened', 'message_clicked', 'unsubscribe', 'referral', 'other',
    ]) }}
{% endmacro %}

{#- The same rule where the word is a value of a column: whether it stands for an event of this name and type. -#}
{% macro word_is_of_event(word, event_name, event_type) -%}
    case when {{ is_event_type(word) }} then {{ word }} = {{ event_type }}
        else {{ word }} = {{ event_name }} end
{%- endmacro %}

{% macro is_event_type(word) -%}
    {{ word }} in ('{{ event_types() | join("', '") }}')
{%- endmacro %}

{#- The condition for the days that count; nothing where all do. -#}
{% macro in_window(macro, days=none, from_date=none, to_date=none) -%}
    {%- set conditions = [] -%}
    {%- if days is not none -%}
        {%- do refuse_unless_whole_number(macro, 'days', days) -%}
        {%- if from_date is not none or to_date is not none -%}
            {%- do refuse(macro, 'days stands beside from_date or to_date; write one or the other') -%}
        {%- endif -%}
        {%- do conditions.append('days_ago < ' ~ days) -%}
    {%- endif -%}
    {%- if from_date is not none -%}
        {%- do refuse_unless_date(macro, 'from_date', from_date) -%}
        {%- do conditions.append("event_date >= cast('" ~ from_date ~ "' as date)") -%}
    {%- endif -%}
    {%- if to_date is not none -%}
        {%- do refuse_unless_date(macro, 'to_date', to_date) -%}
        {%- do conditions.append("event_date <= cast('" ~ to_date ~ "' as date)") -%}
        {%- if from_date is not none and from_date > to_date -%}
            {%- do refuse(macro, 'from_date ' ~ from_date ~ ' is after to_date ' ~ to_date ~ '; change them over') -%}
        {%- endif -%}
    {%- endif -%}
    {{- conditions | join(' and ') -}}
{%- endmacro %}
