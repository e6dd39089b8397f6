{#-
  No check of fct_segment_health found anything on the as-of date that was just built; earlier days were told in their
  time. Gives each row that is not ok: one with status fail fails the build, else there is a warning.
-#}
{% test segment_health_is_ok(model) %}

{{ config(
    warn_if="> 0",
    error_if="> 0 and count(case when status = 'fail' then 1 end) > 0",
) }}

select
    as_of_date,
    segment_set,
    segment,
    check_name,
    status,
    value,
    previous_value,
    limit_value
from {{ model }}
where
    status <> 'ok'
    and as_of_date = (select max(latest.as_of_date) from {{ ref('int_as_of_dates') }} as latest)

{% endtest %}
