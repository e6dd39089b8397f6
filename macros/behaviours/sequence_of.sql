{#-
  Did one step after the other: the body of a CTE, with one row (as_of_date, user_id, last_completed_at) for each person
  and as-of date for which it is so.

  steps             two or more, each an event as in matching(), or {'event': ..., 'where': ...}. A step is strictly
                    later than the one before it; any other events may lie between.
  days              all steps lie in the last so many days; ever, where it is left out
  within_seconds,   at most so long from one step to the next
  within_days
  in_all_seconds,   at most so long from the first step to the last
  in_all_days
  without           a step that does not come between any step and the next. At the very moment of a step it is not
                    between.
  events            what to read; a model that is made as int_person_events is

  A day is 24 hours here, and a span that is exactly as long as said is within.

  last_completed_at is when the last such chain was completed. Any chain counts, not just the one from the first event:
  from each moment one has to look back only to the latest one before it at which the step before was reached. It is the
  nearest, so that nothing more can lie between, and no chain to an earlier one began later.
-#}
{% macro sequence_of(
    steps=none, days=none, within_seconds=none, within_days=none, in_all_seconds=none, in_all_days=none, without=none,
    events=none
) -%}
    {%- do refuse_unknown('sequence_of', varargs, kwargs) -%}
    {%- if steps is string or steps is mapping or steps is not sequence or steps | length < 2 -%}
        {%- do refuse('sequence_of', "steps is '" ~ steps ~ "'; write a list of two or more events") -%}
    {%- endif -%}
    {%- set within = seconds_of('sequence_of', 'within', within_seconds, within_days) | int(0) -%}
    {%- set in_all = seconds_of('sequence_of', 'in_all', in_all_seconds, in_all_days) | int(0) -%}
    {%- if within and in_all and within > in_all -%}
        {%- do refuse('sequence_of', 'within_..., from one step to the next, is longer than in_all_..., from the first '
            ~ 'step to the last; write a shorter within_, or leave it out') -%}
    {%- endif -%}
    {%- if days is not none -%}
        {%- do refuse_unless_whole_number('sequence_of', 'days', days) -%}
        {%- for argument, seconds in [('within', within), ('in_all', in_all)] if seconds > days * 86400 -%}
            {%- do refuse('sequence_of', argument ~ '_... is longer than days, which all steps lie in; write a shorter '
                ~ 'one, or leave it out') -%}
        {%- endfor -%}
    {%- endif -%}
    {%- set conditions = [] -%}
    {%- for step in steps -%}{%- do conditions.append(matching_step(step)) -%}{%- endfor -%}
    {%- set unwanted = matching_step(without) if without is not none else none -%}
    {%- set earlier =
        'over (partition by as_of_date, user_id order by event_at rows between unbounded preceding and 1 preceding)' -%}
    with moments as (

        select
            as_of_date,
            user_id,
            event_at,
            {%- for condition in conditions %}
            max(case when {{ condition }} then 1 else 0 end) as is_step_{{ loop.index }},
            {%- endfor %}
            max(case when {{ unwanted or 'false' }} then 1 else 0 end) as is_unwanted
        from {{ events or ref('int_person_events') }}
        where
            (
                {{ (conditions + ([unwanted] if unwanted else [])) | join('\n                or ') }}
            )
            {%- if days is not none %}
            and {{ in_window('sequence_of', days) }}
            {%- endif %}
        -- What happens at the same moment is in no order: one row, so that the row before is strictly earlier.
        group by as_of_date, user_id, event_at

    ),

    reached_1 as (

        select
            *,
            max(case when is_unwanted = 1 then event_at end) {{ earlier }} as unwanted_before_at,
            case when is_step_1 = 1 then event_at end as reached_1_at,
            case when is_step_1 = 1 then event_at end as began_1_at
        from moments

    ),
    {%- for _ in conditions[1:] %}
    {%- set step = loop.index + 1 %}
    {%- set last = 'last_' ~ loop.index ~ '_at' %}
    {%- set is_reached -%}
        is_step_{{ step }} = 1 and {{ last }} is not null
        {%- if within %} and {{ seconds_between(last, 'event_at') }} <= {{ within }}{% endif %}
        {%- if unwanted %} and (unwanted_before_at is null or unwanted_before_at <= {{ last }}){% endif %}
    {%- endset %}

    before_{{ step }} as (

        select
            *,
            max(reached_{{ loop.index }}_at) {{ earlier }} as {{ last }},
            max(began_{{ loop.index }}_at) {{ earlier }} as chain_{{ loop.index }}_began_at
        from reached_{{ loop.index }}

    ),

    reached_{{ step }} as (

        select
            *,
            case when {{ is_reached }} then event_at end as reached_{{ step }}_at,
            case when {{ is_reached }} then chain_{{ loop.index }}_began_at end as began_{{ step }}_at
        from before_{{ step }}

    ){{ ',' if not loop.last }}
    {%- endfor %}
    {%- set last_step = conditions | length %}

    select
        as_of_date,
        user_id,
        max(event_at) as last_completed_at
    from reached_{{ last_step }}
    where
        reached_{{ last_step }}_at is not null
        {%- if in_all %}
        and {{ seconds_between('began_' ~ last_step ~ '_at', 'event_at') }} <= {{ in_all }}
        {%- endif %}
    group by as_of_date, user_id
{%- endmacro %}

{% macro matching_step(step) -%}
    {%- if step is mapping -%}
        {%- for key in step if key not in ['event', 'where'] -%}
            {%- do refuse('sequence_of', 'a step has ' ~ key ~ "; write {'event': ..., 'where': ...}") -%}
        {%- endfor -%}
        {{ matching('sequence_of', step.get('event'), step.get('where')) }}
    {%- else -%}
        {{ matching('sequence_of', step, none) }}
    {%- endif -%}
{%- endmacro %}

{#- A span in seconds; nothing where none is given. -#}
{% macro seconds_of(macro, span, seconds, days) -%}
    {%- if seconds is not none and days is not none -%}
        {%- do refuse(macro, span ~ '_seconds stands beside ' ~ span ~ '_days; write one of them') -%}
    {%- elif seconds is not none -%}
        {%- do refuse_unless_whole_number(macro, span ~ '_seconds', seconds) -%}
        {{ seconds }}
    {%- elif days is not none -%}
        {%- do refuse_unless_whole_number(macro, span ~ '_days', days) -%}
        {{ days * 86400 }}
    {%- endif -%}
{%- endmacro %}
